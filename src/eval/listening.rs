//! Listening data from a seed.

use super::names::{GENRES, artist};
use crate::als::Csr;
use crate::error::TrainError;
use crate::random::Random;
use crate::recommend::Interactions;

/// Scenes a genre: groups of artists whose listeners overlap more than the genre's.
const SCENES: usize = 5;
/// The shares of a listener's favourite genres; what is left goes to anything.
const SHARES: [f64; 3] = [0.5, 0.25, 0.13];
/// The share of plays of a favourite genre that stays in the listener's scene of it.
const IN_SCENE: f64 = 0.6;
/// The most plays drawn for one pair at once.
const MOST_PLAYS: f64 = 2000.0;

/// How much listening to make up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListeningOptions {
    /// Listeners; at least 1.
    pub users: usize,
    /// Artists; at least 1.
    pub items: usize,
    /// Pairs of a listener and an artist, roughly: what comes differs by a few in a hundred.
    pub interactions: usize,
    /// The same seed gives the same data.
    pub seed: u64,
}

impl Default for ListeningOptions {
    fn default() -> Self {
        ListeningOptions { users: 20_000, items: 10_000, interactions: 1_500_000, seed: 0 }
    }
}

/// Made-up listeners and artists. Listeners and artists are heavy-tailed: few have most of the
/// plays. Each listener has one to three favourite genres, and in each a scene.
#[derive(Debug, Clone)]
pub struct Listening {
    /// Who played whom how often; users and items are their own ids.
    pub interactions: Interactions,
    /// A name for each artist.
    pub names: Vec<String>,
    /// The genre of each artist.
    pub genres: Vec<usize>,
    /// The favourite genres of each listener, the dearest first.
    pub favourites: Vec<Vec<usize>>,
}

impl Listening {
    /// Makes them up.
    ///
    /// # Errors
    /// If there are no users or items, or more than 2^31 of either.
    pub fn generate(options: ListeningOptions) -> Result<Listening, TrainError> {
        check("users", options.users)?;
        check("items", options.items)?;
        let catalogue = Catalogue::new(options);
        let mut random = Random::new(options.seed, 1);
        let mut favourites = Vec::with_capacity(options.users);
        let mut triplets = Triplets::default();
        // Half of the mean, because the Pareto distribution below has twice its scale as its mean.
        let scale = options.interactions as f64 / options.users as f64 / 2.0;
        let mut drawn_by = vec![u32::MAX; options.items];
        for user in 0..options.users as u32 {
            let listener = Listener::draw(&catalogue, &mut random);
            let most = (options.items / 3).max(1);
            let n = (pareto(&mut random, scale) as usize).clamp(1, most);
            let mut fresh = 0;
            // A small scene may have no artist left: after so many draws it is enough.
            for _ in 0..n * 6 {
                let (item, plays) = listener.play(&catalogue, &mut random);
                triplets.push(user, item, plays);
                fresh += usize::from(drawn_by[item as usize] != user);
                drawn_by[item as usize] = user;
                if fresh == n {
                    break;
                }
            }
            favourites.push(listener.favourites.iter().map(|f| f.0).collect());
        }
        let matrix = triplets.matrix(options.users, options.items)?;
        let interactions = Interactions::from_matrix(matrix);
        Ok(Listening { interactions, names: catalogue.names, genres: catalogue.genres, favourites })
    }

    /// What a genre is called.
    #[must_use]
    pub fn genre_name(genre: usize) -> &'static str {
        GENRES[genre % GENRES.len()].name
    }
}

fn check(name: &'static str, got: usize) -> Result<(), TrainError> {
    match got {
        1..=0x7fff_ffff => Ok(()),
        _ => Err(TrainError::Parameter {
            name,
            got: got.to_string(),
            expected: "1 to 2147483647".into(),
        }),
    }
}

/// A Pareto deviate with exponent 2: at least `scale`, twice that on average. Needs nothing but a
/// square root, so that it has the same bits everywhere.
fn pareto(random: &mut Random, scale: f64) -> f64 {
    scale / (1.0 - random.uniform()).sqrt()
}

#[derive(Default)]
struct Triplets {
    users: Vec<u32>,
    items: Vec<u32>,
    plays: Vec<f32>,
}

impl Triplets {
    fn push(&mut self, user: u32, item: u32, plays: f32) {
        self.users.push(user);
        self.items.push(item);
        self.plays.push(plays);
    }

    fn matrix(&self, users: usize, items: usize) -> Result<Csr, TrainError> {
        Csr::from_triplets(users, items, &self.users, &self.items, &self.plays)
    }
}

/// Artists of unequal popularity.
#[derive(Default)]
struct Chart {
    items: Vec<u32>,
    /// Sums of the weights so far.
    ends: Vec<f64>,
}

impl Chart {
    /// The `n`-th artist of a chart weighs 1 / (n + 10).
    fn push(&mut self, item: u32) {
        let weight = 1.0 / (self.items.len() as f64 + 10.0);
        self.ends.push(self.ends.last().copied().unwrap_or(0.0) + weight);
        self.items.push(item);
    }

    fn draw(&self, random: &mut Random) -> Option<u32> {
        let at = random.uniform() * self.ends.last()?;
        self.items.get(self.ends.partition_point(|&end| end <= at)).copied()
    }
}

struct Catalogue {
    names: Vec<String>,
    genres: Vec<usize>,
    everything: Chart,
    by_genre: Vec<Chart>,
    /// Genre after genre.
    by_scene: Vec<Chart>,
}

impl Catalogue {
    fn new(options: ListeningOptions) -> Catalogue {
        let mut random = Random::new(options.seed, 0);
        let charts = |n| (0..n).map(|_| Chart::default()).collect::<Vec<Chart>>();
        let mut catalogue = Catalogue {
            names: Vec::with_capacity(options.items),
            genres: Vec::with_capacity(options.items),
            everything: Chart::default(),
            by_genre: charts(GENRES.len()),
            by_scene: charts(GENRES.len() * SCENES),
        };
        for item in 0..options.items as u32 {
            let genre = draw_genre(&mut random);
            let rank = catalogue.by_genre[genre].items.len();
            catalogue.names.push(artist(genre, rank));
            catalogue.genres.push(genre);
            catalogue.everything.push(item);
            catalogue.by_genre[genre].push(item);
            catalogue.by_scene[genre * SCENES + rank % SCENES].push(item);
        }
        catalogue
    }
}

/// The first genre is three times as popular as the last.
fn draw_genre(random: &mut Random) -> usize {
    let n = GENRES.len();
    loop {
        let genre = random.below(n);
        if random.uniform() * (3 * n) as f64 <= (3 * n - 2 * genre) as f64 {
            return genre;
        }
    }
}

struct Listener {
    /// Genre and scene.
    favourites: Vec<(usize, usize)>,
}

impl Listener {
    fn draw(catalogue: &Catalogue, random: &mut Random) -> Listener {
        let n = 1 + random.below(SHARES.len());
        let mut favourites: Vec<(usize, usize)> = Vec::with_capacity(n);
        for _ in 0..n {
            let genre = draw_genre(random);
            let known = favourites.iter().any(|f| f.0 == genre);
            // A small catalogue may have no artist of a genre.
            if !known && !catalogue.by_genre[genre].items.is_empty() {
                favourites.push((genre, random.below(SCENES)));
            }
        }
        Listener { favourites }
    }

    /// An artist and how often: favourites more often than others.
    fn play(&self, catalogue: &Catalogue, random: &mut Random) -> (u32, f32) {
        let dear = self.favourite(random).and_then(|(genre, scene)| {
            let in_scene = random.uniform() < IN_SCENE;
            let scene = &catalogue.by_scene[genre * SCENES + scene];
            let chart = if in_scene { scene } else { &catalogue.by_genre[genre] };
            chart.draw(random)
        });
        let times = pareto(random, if dear.is_some() { 4.0 } else { 1.0 });
        let item = dear.or_else(|| catalogue.everything.draw(random)).unwrap_or(0);
        (item, times.min(MOST_PLAYS).floor() as f32)
    }

    fn favourite(&self, random: &mut Random) -> Option<(usize, usize)> {
        let mut at = random.uniform();
        for (&favourite, share) in self.favourites.iter().zip(SHARES) {
            if at < share {
                return Some(favourite);
            }
            at -= share;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: ListeningOptions =
        ListeningOptions { users: 500, items: 400, interactions: 10_000, seed: 3 };

    #[test]
    fn a_seed_says_it_all() {
        let (a, b) = (Listening::generate(SMALL).unwrap(), Listening::generate(SMALL).unwrap());
        assert_eq!((&a.interactions, &a.favourites), (&b.interactions, &b.favourites));
        let other = Listening::generate(ListeningOptions { seed: 4, ..SMALL }).unwrap();
        assert_ne!(a.interactions, other.interactions);
    }

    #[test]
    fn listeners_stay_near_their_genres_and_are_heavy_tailed() {
        let data = Listening::generate(SMALL).unwrap();
        let matrix = &data.interactions.matrix;
        assert_eq!((matrix.n_rows(), matrix.n_cols()), (500, 400));
        assert!((7_000..13_000).contains(&matrix.nnz()), "{}", matrix.nnz());
        let (mut own, mut all) = (0.0, 0.0);
        let mut most = 0;
        for user in 0..500 {
            let (items, plays) = matrix.row(user);
            most = most.max(items.len());
            for (&item, &plays) in items.iter().zip(plays) {
                let genre = data.genres[item as usize];
                own += if data.favourites[user].contains(&genre) { plays } else { 0.0 };
                all += plays;
            }
        }
        assert!(own / all > 0.7, "{}", own / all);
        assert!(most > 60, "some listen to much more than the mean of 20: {most}");
    }

    #[test]
    fn the_smallest_and_the_impossible() {
        let one = ListeningOptions { users: 1, items: 1, interactions: 1, seed: 0 };
        assert_eq!(Listening::generate(one).unwrap().interactions.matrix.nnz(), 1);
        let none = ListeningOptions { users: 0, ..one };
        let text = Listening::generate(none).unwrap_err().to_string();
        assert_eq!(text, "users is 0, expected 1 to 2147483647");
    }
}
