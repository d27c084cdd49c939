//! The clusters of an account, found by id or name without a look at each: a list may hold thousands, and
//! every run looks its own up.

use std::ops::Deref;

use crate::digitalocean::Cluster;

/// A complete list of clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterList {
    clusters: Vec<Cluster>,
    /// Places, in the order of the ids in lower case.
    by_id: Vec<u32>,
    /// Places, in the order of the names.
    by_name: Vec<u32>,
}

impl ClusterList {
    /// A list of these clusters.
    #[must_use]
    pub fn new(clusters: Vec<Cluster>) -> Self {
        let places = || (0..).take(clusters.len()).collect::<Vec<u32>>();
        let (mut by_id, mut by_name) = (places(), places());
        by_id.sort_by(|a, b| {
            folded(&clusters[*a as usize].id).cmp(folded(&clusters[*b as usize].id))
        });
        by_name.sort_by(|a, b| name(&clusters, *a).cmp(name(&clusters, *b)));
        Self {
            clusters,
            by_id,
            by_name,
        }
    }

    /// The cluster with this id, in upper or lower case.
    #[must_use]
    pub fn with_id(&self, id: &str) -> Option<&Cluster> {
        let is_before = |place: &u32| folded(&self.clusters[*place as usize].id).lt(folded(id));
        let place = self.by_id.partition_point(is_before);
        let cluster = &self.clusters[*self.by_id.get(place)? as usize];
        cluster.id.eq_ignore_ascii_case(id).then_some(cluster)
    }

    /// The clusters of this name, in the order of the list.
    pub fn named<'a, 'b>(
        &'a self,
        wanted: &'b str,
    ) -> impl Iterator<Item = &'a Cluster> + use<'a, 'b> {
        let first = self
            .by_name
            .partition_point(|place| name(&self.clusters, *place) < wanted);
        self.by_name[first..]
            .iter()
            .map(|place| &self.clusters[*place as usize])
            .take_while(move |cluster| cluster.name == wanted)
    }
}

impl Deref for ClusterList {
    type Target = [Cluster];

    fn deref(&self) -> &[Cluster] {
        &self.clusters
    }
}

fn name(clusters: &[Cluster], place: u32) -> &str {
    &clusters[place as usize].name
}

fn folded(id: &str) -> impl Iterator<Item = u8> {
    id.bytes().map(|byte| byte.to_ascii_lowercase())
}
