//! Names of made-up genres and artists. Any likeness to an existing artist is an accident.

/// A genre: its name, first words and second words of its artists' names.
pub(super) struct Genre {
    pub name: &'static str,
    first: &'static str,
    second: &'static str,
}

const fn genre(name: &'static str, first: &'static str, second: &'static str) -> Genre {
    Genre { name, first, second }
}

/// Every genre, the most popular first.
pub(super) const GENRES: [Genre; 16] = [
    genre(
        "pop",
        "Velvet Candy Neon Sugar Crystal Golden Cherry Summer Glitter Ruby Satin Honey",
        "Hearts Parade Kisses Avenue Holiday Mirrors Dolls Weekend Skyline Promise Daydream Echo",
    ),
    genre(
        "indie rock",
        "Paper Cardboard Lazy Sunday Broken Plastic Quiet Orchard Bicycle Attic Polaroid Corduroy",
        "Lanterns Foxes Telegram Umbrellas Postcards Sweaters Kites Librarians Balcony Moths \
         Harbour Pencils",
    ),
    genre(
        "hip hop",
        "Block Marble Concrete Lucky Major Corner Midnight Platinum Uptown Double Kilo Verse",
        "Cipher Dynasty Scholars Hustle Ledger Crown Syndicate Prophet Cadence Tactics Legacy Mic",
    ),
    genre(
        "heavy metal",
        "Iron Rust Blood Grave Thunder Obsidian Wolf Hammer Doom Ashen Savage Bone",
        "Cathedral Reaper Legion Furnace Oath Serpent Tyrant Crypt Anvil Warhorn Plague Citadel",
    ),
    genre(
        "country",
        "Dusty Whiskey Prairie Copper Lonesome Gravel Cotton Mustang Tennessee Porch Willow Harvest",
        "Saddle Riders Creek Wagon Junction Spurs Hollow Rodeo Fiddle Crossing Boots Moon",
    ),
    genre(
        "techno",
        "Modular Binary Voltage Static Carbon Vector Phase Circuit Concave Sub Axial Zero",
        "Machine Pulse Grid Warehouse Signal Relay Matrix Oscillator Tunnel Function Drift Lattice",
    ),
    genre(
        "jazz",
        "Blue Cool Smoky Night Silver Brass Monk Harlem Uncle Cellar Indigo Bourbon",
        "Quintet Trio Notes Changes Standards Swingers Bebop Reeds Sextet Ballads Chorus Brushes",
    ),
    genre(
        "classical",
        "Vienna Leipzig Chamber Royal Palace Northern Baroque Saint Gothic Imperial Abbey Crescent",
        "Philharmonic Sinfonia Consort Ensemble Camerata Strings Soloists Academy Virtuosi Choir \
         Octet Players",
    ),
    genre(
        "reggae",
        "Roots Island Zion Kingston Lion Coconut Sunsplash Rebel Mellow Dub Mango Trench",
        "Riddim Wailing Vibration Steppers Sound Irie Selectors Skank Rockers Upsetter Bassline \
         Tribe",
    ),
    genre(
        "folk",
        "Oak Hazel River Meadow Winter Heron Barley Moss Thistle Raven Cedar Salt",
        "Maidens Ballad Hearth Weavers Brook Shepherds Lark Loom Valley Mill Fable Hymn",
    ),
    genre(
        "punk",
        "Rotten Toxic Angry Dirty Riot Broke Spit Gutter Nervous Cheap Radio Safety",
        "Rats Vandals Pins Squatters Brats Bombs Scum Teeth Dropouts Fist Alarm Losers",
    ),
    genre(
        "ambient",
        "Slow Distant Glacial Hollow Lunar Weightless Pale Drifting Tidal Frozen Silent Arctic",
        "Horizon Fields Mist Cloudscape Vapour Stillness Halo Shoreline Nebula Snowfall Aurora \
         Breath",
    ),
    genre(
        "soul",
        "Sweet Stone Memphis Southern Gospel Tender Motor Ebony Magnolia Deep Sister Deacon",
        "Sensations Groove Miracle Supreme Testimony Revue Messengers Devotion Delta Preachers \
         Tenderness Embers",
    ),
    genre(
        "salsa",
        "Havana Caribe Sabor Fuego Ritmo Barrio Mambo Cielo Boricua Luna Bongo Azul",
        "Orquesta Conjunto Timbales Clave Descarga Sonora Guaguanco Estrellas Montuno Tumbao \
         Combo Charanga",
    ),
    genre(
        "synthwave",
        "Laser Chrome Turbo Miami Cyber Sunset Retro Hologram Arcade Magenta Outrun VHS",
        "Runner Drive Nights Highway Testarossa Cassette Phantom Boulevard Rider Dream Cobra Grids",
    ),
    genre(
        "blues",
        "Muddy Crossroad Blind Howling Rusty Catfish Mojo Boxcar Delta Juke Bottleneck Cigar",
        "Slim Tom Shuffle Hound Walker Train Levee Stomp Harp Jackson Boogie Shack",
    ),
];

/// The `at`-th name of a genre's artists; every number has a name of its own.
pub(super) fn artist(genre: usize, at: usize) -> String {
    let genre = &GENRES[genre % GENRES.len()];
    let (first, second): (Vec<&str>, Vec<&str>) =
        (genre.first.split_whitespace().collect(), genre.second.split_whitespace().collect());
    let pairs = first.len() * second.len();
    // Steps of a number without a common factor with 144 visit every pair once.
    let pair = at * 41 % pairs;
    let name = format!("{} {}", first[pair % first.len()], second[pair / first.len()]);
    match at / pairs {
        0 => name,
        1 => format!("The {name}"),
        2 => format!("New {name}"),
        3 => format!("{name} Society"),
        4 => format!("{name} Revival"),
        more => format!("{name} {}", more - 3),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_artist_has_a_name_of_its_own() {
        let names: HashSet<String> =
            (0..GENRES.len()).flat_map(|g| (0..1500).map(move |at| artist(g, at))).collect();
        assert_eq!(names.len(), GENRES.len() * 1500);
    }
}
