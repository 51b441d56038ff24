//! Pages and pictures: what they say, and that nothing from a file becomes markup.
// Helpers are no test functions in the eyes of clippy.

use crate::common::{Numbers, clustered};
use nearwood::index::{CurveOptions, Vectors};
use nearwood::recommend::{FitOptions, IdColumn};
use nearwood::report::{MAX_ITEMS, PageOptions, Subject, curve_svg, page};
use nearwood::{Ids, Index, Interactions, Metric, Recommender};
use serde_json::Value;

const NASTY: [&str; 6] = [
    "</script><script>alert(1)</script>",
    "\"quoted\" & 'so' <b>bold</b>",
    "<!-- never closed",
    "🎵 emoji {{data}}",
    "שלום عالم",
    "tab\tand\u{0}nul\u{1b}[2J",
];

fn index(n: usize) -> Index {
    let values = clustered(n, 6, 5, &mut Numbers::new(4));
    let labels = (0..n).map(|at| match NASTY.get(at) {
        Some(name) => name.to_string(),
        None => format!("vector {at}"),
    });
    let builder = Index::builder(Metric::Euclidean).leaf_size(40).trees(2).graph(Some(true));
    builder.labels(labels.collect()).build(Vectors::new(&values, 6).unwrap()).unwrap()
}

/// Item 0 is had by most, then 1 and so on; four users in five are of the first half.
fn recommender() -> Recommender {
    let mut numbers = Numbers::new(9);
    let (mut users, mut items) = (Vec::new(), Vec::new());
    for user in 0..60i64 {
        for item in 0..30i64 {
            if numbers.uniform() < 0.9 - item as f64 * 0.025 {
                users.push(user);
                items.push(100 + item);
            }
        }
    }
    let data =
        Interactions::from_columns(IdColumn::Int(users), IdColumn::Int(items), None, None).unwrap();
    let mut options = FitOptions::default();
    (options.params.factors, options.params.iterations) = (4, 3);
    options.labels =
        Some((0..data.items.len()).map(|at| format!("item {}", data.items.get(at))).collect());
    Recommender::fit(&data, &options).unwrap()
}

fn drawn(index: &Index, items: usize) -> String {
    page(Subject::Index(index), &PageOptions { items, ..PageOptions::default() }).unwrap()
}

/// What the page's script is given.
fn data(page: &str) -> Value {
    let (_, rest) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

fn numbers(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|x| x.as_i64().unwrap()).collect()
}

#[test]
fn a_page_of_an_index_says_what_it_is() {
    let index = index(900);
    let page = drawn(&index, 200);
    for part in [
        "<dt>vectors</dt><dd>900</dd>",
        "<dt>metric</dt><dd>euclidean</dd>",
        "<dt>trees</dt><dd>2</dd>",
        "<dt>graph</dt><dd>yes</dd>",
        "over the graph",
        "over the trees",
        "200 vectors drawn at random",
        "Leaf sizes",
        "Of 900 vectors: median",
        "was not measured for this page",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("Training"), "an index has none");
    assert!(!page.contains("{{"), "a place of the template was left");
    let data = data(&page);
    assert_eq!(data["n"], 200);
    assert_eq!(numbers(&data["places"]).len(), 400);
    assert_eq!(page, drawn(&index, 200), "the same file gives the same page");
}

#[test]
fn neighbours_on_a_page_are_those_of_a_search() {
    let index = index(500);
    let data = data(&drawn(&index, 500));
    let names = data["names"].as_array().unwrap();
    assert_eq!(names.len(), 500, "each name once");
    let all: Vec<u32> = (0..500).collect();
    let answers = index.search_positions(&all, nearwood::BatchOptions::default(), false).unwrap();
    for at in 0..500 {
        let hits = answers.hits(at);
        let near: Vec<i64> = hits.iter().map(|hit| i64::from(hit.position)).collect();
        assert_eq!(numbers(&data["near"][at]), near);
        let far = data["far"][at][0].as_f64().unwrap();
        assert!((far - f64::from(hits[0].distance)).abs() <= 1e-3 * far);
    }
}

#[test]
fn names_are_text_and_nothing_else() {
    let index = index(100);
    let page = drawn(&index, 100);
    assert_eq!(page.matches("<script").count(), 2, "the data and the page's own");
    assert_eq!(page.matches("</script>").count(), 2);
    assert!(!page.contains("alert(1)</script>") && !page.contains("<!--"));
    let data = data(&page);
    let names: Vec<&str> =
        data["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    for name in &NASTY[..5] {
        assert!(names.contains(name), "{name}");
    }
    assert!(names.contains(&"tab and nul [2J"));
    let title = "</title><script>alert(2)</script>";
    let titled = nearwood::report::page(
        Subject::Index(&index),
        &PageOptions { title, ..PageOptions::default() },
    );
    let titled = titled.unwrap();
    assert!(
        titled.contains("&lt;/title&gt;&lt;script&gt;alert(2)&lt;/script&gt; · nearwood</title>")
    );
    assert_eq!(titled.matches("<script").count(), 2);
}

/// Whatever could make a browser ask for something else.
#[test]
fn a_page_loads_nothing() {
    let page = drawn(&index(100), 50);
    assert!(page.contains("content=\"default-src 'none';"));
    let lower = page.to_lowercase();
    for (at, _) in lower.match_indices("href=\"").chain(lower.match_indices("src=\"")) {
        let rest = lower[at..].split_once('"').unwrap().1;
        assert!(rest.starts_with("data:,"), "{}", &rest[..40]);
    }
    for what in ["@import", "url(", "fetch(", "xmlhttprequest", "websocket", "import("] {
        assert!(!lower.contains(what), "{what}");
    }
    let links = lower.matches("http").count();
    let allowed =
        lower.matches("http://www.w3.org/2000/svg").count() + lower.matches("http-equiv").count();
    assert_eq!(links, allowed, "only the name of SVG's language is written as an address");
}

#[test]
fn a_recommender_shows_its_most_popular_items_and_its_training() {
    let recommender = recommender();
    let options = PageOptions { items: 10, ..PageOptions::default() };
    let page = page(Subject::Recommender(&recommender), &options).unwrap();
    for part in [
        "<dt>users</dt><dd>60</dd>",
        "<dt>weighting</dt><dd>log1p</dd>",
        "similar (cosine)",
        "The 10 items that most users have",
        "epoch 3: ",
        "<code>--test FILE</code>",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let data = data(&page);
    let counts = numbers(&data["counts"]);
    assert!(counts.is_sorted_by(|a, b| a >= b) && counts.len() == 10, "{counts:?}");
    let name = data["names"][0].as_str().unwrap();
    let position = recommender.items().find(name).unwrap();
    let having = (0..60).filter(|&user| recommender.seen(user).contains(&position)).count();
    assert_eq!(counts[0], having as i64);
    assert_eq!(data["ids"][0].as_str().unwrap(), name.strip_prefix("item ").unwrap());
    let near = numbers(&data["near"][0]);
    assert_eq!(near.len(), 10);
    let known = data["names"].as_array().unwrap().len() as i64;
    assert!(near.iter().all(|&item| item > 0 && item < known) && known > 10, "{near:?}");
}

#[test]
fn a_page_stays_below_its_bound() {
    let n = 300;
    let values = Numbers::new(1).normals(n * 4);
    let worst = |at: usize| format!("{at:03}{}", "<".repeat(200));
    let ids = Ids::Text((0..n).map(worst).collect());
    let builder = Index::builder(Metric::Angular).ids(ids).labels((0..n).map(worst).collect());
    let index = builder.build(Vectors::new(&values, 4).unwrap()).unwrap();
    for items in [1, 20, 300] {
        let len = drawn(&index, items).len();
        assert!(len < 300_000 + items * 4_600, "{items}: {len}");
    }
}

#[test]
fn what_cannot_be_shown_is_refused_and_small_things_are_shown() {
    let index = index(100);
    for items in [0, MAX_ITEMS + 1] {
        let options = PageOptions { items, ..PageOptions::default() };
        let text = page(Subject::Index(&index), &options).unwrap_err().to_string();
        assert!(text.starts_with(&format!("items is {items}, expected 1 to 5000")), "{text}");
    }
    for metric in Metric::ALL {
        let one = Index::builder(metric).build(Vectors::new(&[0.5, 1.5], 2).unwrap()).unwrap();
        assert_eq!(data(&drawn(&one, 10))["near"], serde_json::json!([[]]), "{metric}");
    }
}

#[test]
fn a_measured_curve_stands_on_the_page_and_in_a_picture() {
    let index = index(900);
    let options = CurveOptions { budgets: Some(&[50, 900]), ..CurveOptions::default() };
    let curve = index.recall_curve(None, options).unwrap();
    let svg = curve_svg(&curve);
    assert!(
        svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && svg.ends_with("</svg>\n")
    );
    for part in ["prefers-color-scheme: dark", "recall@10", "queries/s, one thread", "budget 900: "]
    {
        assert!(svg.contains(part), "{part}");
    }
    // A line's two points, three recalls asked for, brute force, and three in the legend.
    assert_eq!(svg.matches("<circle").count(), 9);
    assert_eq!(svg.matches("<polyline").count(), 1);
    let places = svg.split("cx=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let places: Vec<f64> = places.map(|x| x.parse().unwrap()).collect();
    assert!(places.iter().all(|&x| (0.0..=460.0).contains(&x)), "{places:?}");
    let options = PageOptions { curve: Some(&curve), items: 10, ..PageOptions::default() };
    let page = page(Subject::Index(&index), &options).unwrap();
    assert!(page.contains("stored vectors, each left out of its own answer, one after another"));
    assert!(page.contains("<th scope=\"row\">recall=0.95</th>"));
    assert!(!page.contains("--queries FILE"));
}
