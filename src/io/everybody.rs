//! The nightly job: a table of recommendations for every user, gone on with where it was ended.

use std::path::Path;

use crate::error::Error;
use crate::format::Directory;
use crate::index::{Hit, IdRef, Ids};
use crate::kernel::Isa;
use crate::recommend::{Everybody, RecommendOptions, Recommender};
use crate::store::refused;

use super::parts::Parts;
use super::writer::{IdKind, RankingWriter};

/// What a job for many users asks for.
#[derive(Clone, Copy, Default)]
pub struct EverybodyOptions<'a> {
    /// For each of them.
    pub recommend: RecommendOptions<'a>,
    /// Which users, by number, in the order of the table; `None`: all.
    pub users: Option<&'a [u32]>,
    /// Whether to go on with what an earlier call for the same file left; without it what was left
    /// is thrown away.
    pub resume: bool,
}

/// What a job has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Users answered for.
    pub users: usize,
    /// Of these, users whose lists an earlier call had left.
    pub resumed: usize,
    /// Rows in the table.
    pub rows: u64,
}

/// Writes the best items for many users as a table, as [`RankingWriter::recommendations`] does.
///
/// Users are answered in blocks of at most 4096, so memory does not grow with their number: it is
/// that of [`Recommender::everybody`] and of the writer. Each block is kept beside the target, in
/// the folder `<target>.parts`, until the table is whole: a call that is ended (by `progress`,
/// which hears of users done and in all and answers false; by a kill; by a full disk) leaves the
/// blocks that it had done, and one with `resume` takes them over. The table has the same bytes
/// however often the job was ended. One job writes to a target at a time: a second one is refused.
///
/// `None` if `progress` stopped it; the target is then as it was.
///
/// # Errors
/// If there is no such user, an option is out of its range, the system refuses, another job is
/// writing to the target, or `resume` finds the parts of another job.
pub fn recommend_everybody(
    recommender: &Recommender,
    target: impl AsRef<Path>,
    options: EverybodyOptions<'_>,
    mut progress: impl FnMut(usize, usize) -> bool,
) -> Result<Option<Written>, Error> {
    let target = target.as_ref();
    let is_file = Parts::are_possible(target);
    if options.resume && !is_file {
        let problem = "resume (--resume) needs a regular file: give the path of one";
        return Err(refused(target, problem).into());
    }
    let total = options.users.map_or(recommender.n_users(), <[u32]>::len);
    let job = Job { recommender, options, total, ids: recommender.items().ids() };
    let kinds = match recommender.has_text_user_ids() {
        true => IdKind::Text,
        false => IdKind::Int,
    };
    let mut writer = RankingWriter::recommendations(target, kinds, IdKind::from(&job.ids))?;
    let block = Everybody::block_of(options.recommend.k);
    // Opened even if a single block needs none: another job's are thrown away, or refused.
    let parts = is_file.then(|| Parts::open(target, &job.fingerprint(block), options.resume));
    let mut parts = parts.transpose()?.filter(|_| total > block);
    let mut everybody = None;
    let mut written = Written { users: 0, resumed: 0, rows: 0 };
    for (number, first) in (0..total).step_by(block).enumerate() {
        let users: Vec<u32> = (first..total.min(first + block)).map(|at| job.user(at)).collect();
        let kept = parts.as_ref().and_then(|parts| parts.read(number, users.len(), job.ids.len()));
        written.resumed += if kept.is_some() { users.len() } else { 0 };
        let lists = match kept {
            Some(lists) => lists,
            None => {
                let everybody = match &mut everybody {
                    Some(made) => made,
                    none => none.insert(recommender.everybody(total, options.recommend)?),
                };
                let lists = job.lists(everybody, &users)?;
                if let Some(parts) = &mut parts {
                    parts.write(number, &lists)?;
                }
                lists
            }
        };
        job.push(&mut writer, &users, &lists)?;
        written.users += users.len();
        if !progress(written.users, total) {
            return Ok(None);
        }
    }
    written.rows = writer.finish()?;
    parts.map_or(Ok(()), Parts::remove)?;
    Ok(Some(written))
}

struct Job<'a> {
    recommender: &'a Recommender,
    options: EverybodyOptions<'a>,
    total: usize,
    ids: Ids,
}

impl Job<'_> {
    /// The user at a place of the job.
    fn user(&self, at: usize) -> u32 {
        self.options.users.map_or(at as u32, |users| users[at])
    }

    /// What decides the lists, and their blocks.
    fn fingerprint(&self, block: usize) -> String {
        let RecommendOptions { k, include_seen, effort, filter, .. } = self.options.recommend;
        // Batches of the index differ between instruction sets, exact lists do not.
        let way = if effort.is_exact() { "any".to_string() } else { Isa::active().to_string() };
        let filter =
            filter.map_or(0, |filter| crc32fast::hash(bytemuck::cast_slice(filter.bits())));
        let users = self.options.users.map_or(0, |u| crc32fast::hash(bytemuck::cast_slice(u)));
        format!(
            "file {:08x}, {} users ({users:08x}) by {block}, k {k}, include_seen {include_seen}, \
             {effort:?}, filter {filter:08x}, instruction set {way}",
            identity(self.recommender.items().directory()),
            self.total,
        )
    }

    fn lists(&self, everybody: &Everybody<'_>, users: &[u32]) -> Result<Vec<Vec<Hit>>, Error> {
        let answers = everybody.answer(users)?;
        Ok((0..users.len()).map(|at| answers.hits(at)).collect())
    }

    fn push(
        &self,
        writer: &mut RankingWriter,
        users: &[u32],
        lists: &[Vec<Hit>],
    ) -> Result<(), Error> {
        for (&user, hits) in users.iter().zip(lists) {
            // A damaged file may name items that do not exist.
            let known = hits.iter().filter(|hit| (hit.position as usize) < self.ids.len());
            let named = known.map(|hit| -> (IdRef<'_>, f32) {
                (self.ids.get_ref(hit.position as usize), hit.distance)
            });
            writer.push(self.recommender.user_id(user).as_ref(), named)?;
        }
        Ok(())
    }
}

/// A checksum over the checksums of all sections.
fn identity(directory: &Directory) -> u32 {
    let sections: Vec<u32> = directory.sections().iter().map(|section| section.crc).collect();
    crc32fast::hash(bytemuck::cast_slice(&sections))
}
