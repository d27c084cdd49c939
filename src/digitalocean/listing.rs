//! The list of clusters, page by page.
//!
//! Pages are counted, links are never followed: a link could lead the API token elsewhere. The
//! list is complete when it holds as many clusters as its last page says that there are, and none
//! was deleted in between (which would move one that was not yet read onto a page that was).

use std::collections::HashSet;

use super::types::ListPage;
use super::{Answer, Cluster, ErrorKind, Meta};

/// The sizes of pages to ask for: the API's largest, then, where such a page is too long to be
/// read, smaller ones. Each divides the one before it, so that a smaller page starts where the
/// larger one would have.
const PAGE_SIZES: [u32; 6] = [200, 100, 50, 25, 5, 1];

/// More than any account takes; beyond them, the server has lost count.
const MOST_REQUESTS: u32 = 200;

/// A list of clusters that is being read: one request a step, so that a caller with a budget can
/// pay for each.
#[derive(Debug, Default)]
pub struct Listing {
    size: usize,
    /// How many pages of the present size were read.
    pages: u32,
    requests: u32,
    total: Option<u64>,
    clusters: Vec<Cluster>,
    ids: HashSet<String>,
}

/// How far a [`Listing`] is after a step.
#[derive(Debug)]
pub enum Progress {
    /// It takes another step.
    More,
    /// All clusters of the account, each once.
    Complete(Answer<Vec<Cluster>>),
}

impl Listing {
    /// A list of which nothing was read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn query(&self) -> String {
        format!("per_page={}&page={}", PAGE_SIZES[self.size], self.pages + 1)
    }

    pub(super) fn count_request(&mut self) -> u32 {
        self.requests += 1;
        self.requests
    }

    /// Asks for smaller pages from here on; false when there are none.
    pub(super) fn shrink(&mut self) -> bool {
        let Some(smaller) = PAGE_SIZES.get(self.size + 1) else {
            return false;
        };
        self.pages *= PAGE_SIZES[self.size] / smaller;
        self.size += 1;
        true
    }

    pub(super) fn accept(&mut self, page: ListPage, meta: Meta) -> Result<Progress, ErrorKind> {
        let (has_next, total) = (page.has_next(), page.total());
        if self.total.is_some_and(|before| total < before) {
            return Err(ErrorKind::Incomplete);
        }
        self.total = Some(total);
        let found = page.clusters().map_err(ErrorKind::Malformed)?;
        let empty = found.is_empty();
        // A cluster created in between moves the others back: the last of a page comes twice.
        found
            .into_iter()
            .filter(|cluster| self.ids.insert(cluster.id.clone()))
            .for_each(|cluster| self.clusters.push(cluster));
        self.pages += 1;
        let missing = (self.clusters.len() as u64) < total;
        if has_next && !empty && self.requests < MOST_REQUESTS {
            Ok(Progress::More)
        } else if has_next || missing {
            Err(ErrorKind::Incomplete)
        } else {
            let mut value = std::mem::take(&mut self.clusters);
            value.shrink_to_fit();
            Ok(Progress::Complete(Answer { value, meta }))
        }
    }
}
