//! Interactions in, recommendations out: train, ask for users that are known and for one who is
//! not, and for similar items.
//!
//! `cargo run --release --example recommend`

use nearwood::als::Params;
use nearwood::recommend::{FitOptions, IdColumn, RecommendOptions, Weighting};
use nearwood::{BatchOptions, Error, Interactions, Recommender};

/// Six hundred listeners of four tastes; a song's number says which taste it is made for.
fn plays() -> (Vec<String>, Vec<String>, Vec<f32>) {
    let (mut users, mut songs, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for user in 0..600usize {
        for play in 0..25 {
            let song = (user / 4 * 31 + play * play * 7) % 100 * 4 + user % 4;
            users.push(format!("listener-{user}"));
            songs.push(format!("song-{song}"));
            counts.push(1.0 + (play % 5) as f32);
        }
    }
    (users, songs, counts)
}

/// Trains and asks.
pub fn main() -> Result<(), Error> {
    let (users, songs, counts) = plays();
    let data = Interactions::from_columns(
        IdColumn::Text(users),
        IdColumn::Text(songs),
        Some(counts),
        None,
    )?;
    let params = Params { factors: 16, iterations: 8, ..FitOptions::default().params };
    let options = FitOptions { params, weighting: Weighting::Log1p, labels: None };
    let recommender = Recommender::fit(&data, &options)?;
    println!("loss: {:.1?}", recommender.loss_history());

    // A known listener; what they have played is left out.
    let user = recommender.find_user("listener-7")?;
    let options = RecommendOptions { k: 5, ..RecommendOptions::default() };
    for hit in recommender.recommend(user, options)? {
        println!(
            "listener-7 might like {} ({:.3})",
            recommender.items().id(hit.position),
            hit.distance
        );
    }

    // Somebody new, by a short history of raw play counts.
    let history = [("song-2", 3.0), ("song-6", 1.0), ("song-10", 5.0)];
    let history: Result<Vec<(u32, f32)>, Error> = history
        .into_iter()
        .map(|(song, count)| Ok((recommender.items().find(song)?, count)))
        .collect();
    let hits = recommender.recommend_for(&history?, options)?;
    let names: Vec<String> =
        hits.iter().map(|hit| recommender.items().id(hit.position).to_string()).collect();
    println!("somebody new might like {names:?}");
    assert_eq!(names.len(), 5);

    // Songs like a song.
    let song = recommender.items().find("song-2")?;
    let near = recommender.similar(song, BatchOptions { k: 3, ..BatchOptions::default() })?;
    println!("near song-2: {near:.3?}");

    // Everybody, in order, in bounded memory.
    let mut lists = 0;
    recommender.recommend_all::<Error>(options, |_, hits| {
        lists += usize::from(hits.len() == 5);
        Ok(true)
    })?;
    println!("{lists} of {} listeners got five songs", recommender.n_users());
    Ok(())
}
