//! The form that a Secret says it was written in.

use proptest::prelude::*;

use super::strategies::{FIELDS, FORMATS, KEY, any_material, any_output};
use super::*;

#[test]
fn a_form_is_written_as_its_format_and_keys_with_what_each_holds_where_the_format_does_not_say() {
    let material = token_material();
    let output = custom(&[
        ("config", CustomField::Kubeconfig),
        ("a", CustomField::Server),
    ]);
    for (output, expected) in [
        (output_of(OutputFormat::Karmada), "Karmada caBundle token"),
        (output_of(OutputFormat::Flux), "Flux value"),
        (output_of(OutputFormat::ArgoCD), "ArgoCD config name server"),
        (output, "Custom a=Server config=Kubeconfig"),
    ] {
        let contents = render(&output, &material, &facts()).unwrap();
        let form = Form::of(&output, &contents);
        assert_eq!(form.to_string(), expected);
        assert_eq!(form.keys().collect::<Vec<_>>(), keys(&contents));
    }
}

#[test]
fn nonsense_is_no_form() {
    for text in [
        "",
        " ",
        "kubeconfig",
        "Kubeconfig\n",
        " Kubeconfig",
        "Secret token",
        "Custom a=",
        "Custom a=server",
        "Custom a=Server=Server",
        "Custom a=Server b=Nothing",
        "null",
        "\"Custom\"",
    ] {
        assert_eq!(Form::parse(text), None, "{text:?}");
    }
}

proptest! {
    #[test]
    fn a_form_is_read_back_as_it_was_written(
        format in prop::sample::select(&FORMATS[..]),
        keys in prop::collection::vec((KEY, prop::option::of(prop::sample::select(&FIELDS[..]))), 0..8),
    ) {
        let form = Form { format, keys };
        prop_assert_eq!(Form::parse(&form.to_string()), Some(form));
    }

    #[test]
    fn the_form_of_every_content_is_read_back(output in any_output(), material in any_material()) {
        if let Some(contents) = render(&output, &material, &facts()) {
            let form = Form::of(&output, &contents);
            prop_assert_eq!(Form::parse(&form.to_string()), Some(form.clone()));
            prop_assert_eq!(form.format, output.format);
            prop_assert_eq!(form.keys().collect::<Vec<_>>(), keys(&contents));
        }
    }

    #[test]
    fn whatever_is_read_as_a_form_is_written_as_it_was_read(text in "(Custom|Flux)?[ =a]{0,4}(Server|Token)?[ =]?") {
        if let Some(form) = Form::parse(&text) {
            prop_assert_eq!(form.to_string(), text);
        }
    }
}
