//! Marks that somebody else wrote: nobody's content passes for a write of ours, whatever is done to one.

use proptest::prelude::*;

use super::*;

/// What marks and content say, as far as it matters to anybody.
type Said = (Marks, Contents);

/// What a Secret says if it passes for a write of ours, in a form that knows no order.
fn said(found: &FoundSecret) -> Option<Said> {
    let marks = found.metadata.marks.clone()?;
    let form = Form::parse(&marks.form)?;
    let contents = format_of(form.format).canonical(found.intact()?);
    Some((marks, contents))
}

fn written() -> Vec<Secret> {
    let all = materials();
    let desired = all.iter().flat_map(|material| {
        let of = move |output: &Output| desired_of(output, material);
        outputs().each_ref().map(of).into_iter().flatten()
    });
    desired.map(|desired| applied(&desired)).collect()
}

/// One thing that whoever may edit Secrets can do to one.
#[derive(Clone, Debug)]
enum Edit {
    /// Another value of one of our annotations, taken from another Secret of ours.
    Borrow(prop::sample::Index),
    /// Some text in its place.
    Annotate(prop::sample::Index, String),
    /// Some bytes under one of our keys.
    Write(prop::sample::Index, Vec<u8>),
    /// The data of another Secret of ours.
    Swap,
    /// What stands under one key put under another.
    Move(prop::sample::Index, prop::sample::Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        index().prop_map(Edit::Borrow),
        (index(), "[ =.0-9a-zA-Z-]{0,12}").prop_map(|(at, text)| Edit::Annotate(at, text)),
        (index(), prop::collection::vec(any::<u8>(), 0..8))
            .prop_map(|(at, value)| Edit::Write(at, value)),
        Just(Edit::Swap),
        (index(), index()).prop_map(|(from, to)| Edit::Move(from, to)),
    ]
}

fn apply(secret: &mut Secret, other: &Secret, edit: Edit) {
    let ours = |secret: &Secret| -> Vec<String> {
        let annotations = secret.metadata.annotations.clone().unwrap_or_default();
        annotations
            .into_keys()
            .filter(|key| key.starts_with("doclusteraccess.dev/"))
            .collect()
    };
    let marks = ours(secret);
    let annotations = secret.metadata.annotations.get_or_insert_default();
    let data = secret.data.get_or_insert_default();
    let keys: Vec<_> = data.keys().cloned().collect();
    match edit {
        Edit::Borrow(at) => {
            let key = at.get(&marks);
            let theirs = other
                .metadata
                .annotations
                .as_ref()
                .and_then(|theirs| theirs.get(key));
            annotations.insert(key.clone(), theirs.cloned().unwrap_or_default());
        }
        Edit::Annotate(at, text) => {
            annotations.insert(at.get(&marks).clone(), text);
        }
        Edit::Write(at, value) => {
            data.insert(at.get(&keys).clone(), ByteString(value));
        }
        Edit::Swap => data.clone_from(&other.data.clone().unwrap_or_default()),
        Edit::Move(from, to) => {
            if let Some(value) = data.get(from.get(&keys)).cloned() {
                data.insert(to.get(&keys).clone(), value);
            }
        }
    }
}

proptest! {
    #[test]
    fn what_passes_for_a_write_of_ours_says_what_one_said(
        which in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(),
        edits in prop::collection::vec(edit(), 1..4),
    ) {
        let all = written();
        let genuine: Vec<_> = all.iter().filter_map(|secret| said(&found(secret.clone()))).collect();
        prop_assert_eq!(genuine.len(), all.len());
        let mut secret = which.get(&all).clone();
        for edit in edits {
            apply(&mut secret, other.get(&all), edit);
        }
        if let Some(said) = said(&found(secret)) {
            prop_assert!(genuine.contains(&said), "{:?}", said);
        }
    }
}

/// Argo CD may write its configuration anew; nobody may write it twice over.
#[test]
fn a_configuration_that_says_something_twice_is_not_what_was_written() {
    let secret = applied(&desired_of(&output_of(OutputFormat::ArgoCD), &token_material()).unwrap());
    let config = String::from_utf8(secret.data.as_ref().unwrap()["config"].0.clone()).unwrap();
    for twice in [
        config.replacen('{', r#"{"bearerToken":"another","#, 1),
        config.replacen(
            r#""tlsClientConfig":{"#,
            r#""tlsClientConfig":{"insecure":true,"#,
            1,
        ),
    ] {
        assert_ne!(twice, config);
        let mut secret = secret.clone();
        let data = secret.data.as_mut().unwrap();
        data.insert("config".to_string(), ByteString(twice.clone().into_bytes()));
        assert!(found(secret).intact().is_none(), "{twice}");
    }
}

#[test]
fn bytes_that_are_no_text_are_not_what_was_left_out() {
    let mut output = output_of(OutputFormat::ArgoCD);
    output.argocd = Some(ArgoCdOptions {
        cluster_resources: Some(false),
        ..ArgoCdOptions::default()
    });
    let secret = applied(&desired_of(&output, &token_material()).unwrap());
    let with = |value: Option<&[u8]>| {
        let mut secret = secret.clone();
        let data = secret.data.as_mut().unwrap();
        data.remove("clusterResources").expect("what was asked for");
        data.extend(
            value.map(|value| ("clusterResources".to_string(), ByteString(value.to_vec()))),
        );
        found(secret).intact()
    };
    assert!(with(None).is_some(), "Argo CD leaves out what is false");
    assert!(with(Some(b"false")).is_some());
    assert!(with(Some(b"\xff")).is_none());
    assert!(with(Some(b"")).is_none());
}
