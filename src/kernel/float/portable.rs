//! The definition of the float sums.

const LANES: usize = 32;

pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |x, y, lane| x.mul_add(y, lane))
}

pub(super) fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |x, y, lane| (x - y).mul_add(x - y, lane))
}

pub(super) fn dot4(a: [&[f32]; 4], b: &[f32]) -> [f32; 4] {
    a.map(|a| dot(a, b))
}

pub(super) fn squared_l2_4(a: [&[f32]; 4], b: &[f32]) -> [f32; 4] {
    a.map(|a| squared_l2(a, b))
}

#[inline(always)]
fn sum(a: &[f32], b: &[f32], step: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let (whole_a, rest_a) = a.as_chunks::<LANES>();
    let (whole_b, rest_b) = b.as_chunks::<LANES>();
    for (x, y) in whole_a.iter().zip(whole_b) {
        for j in 0..LANES {
            lanes[j] = step(x[j], y[j], lanes[j]);
        }
    }
    for (j, (&x, &y)) in rest_a.iter().zip(rest_b).enumerate() {
        lanes[j] = step(x, y, lanes[j]);
    }
    let mut half = LANES / 2;
    while half > 0 {
        for j in 0..half {
            lanes[j] += lanes[j + half];
        }
        half /= 2;
    }
    lanes[0]
}
