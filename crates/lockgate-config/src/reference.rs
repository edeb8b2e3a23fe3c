//! The tables of the reference page: every key with its value, its default and what it is for, written from the tables that
//! the file is checked against.

use std::fmt::Write as _;

use crate::file::FILE;
use crate::shape::{Key, Kind, Presence, Shape};
use crate::{duration, size};

/// One section of Markdown for each mapping of the file, in the order in which a reader meets them.
pub fn reference() -> String {
    let mut shapes = Vec::new();
    collect(&FILE, &mut shapes);
    shapes.iter().map(|shape| section(shape)).collect::<Vec<_>>().join("\n")
}

fn collect(shape: &'static Shape, shapes: &mut Vec<&'static Shape>) {
    if shapes.iter().any(|known| known.name == shape.name) {
        return;
    }
    shapes.push(shape);
    for key in shape.keys {
        inner(&key.kind).iter().for_each(|inner| collect(inner, shapes));
    }
}

/// The mappings that a value of this kind holds.
fn inner(kind: &'static Kind) -> Vec<&'static Shape> {
    match kind {
        Kind::Shape(shape) => vec![shape],
        Kind::Tagged(shapes) => shapes.iter().map(|(_, shape)| *shape).collect(),
        Kind::List(kind) | Kind::Named(kind) | Kind::Keyed(kind) => inner(kind),
        Kind::Either(short, long) => [inner(short), inner(long)].concat(),
        _ => Vec::new(),
    }
}

fn section(shape: &Shape) -> String {
    let mut text = format!("### {}\n\n{}\n\n", capitalised(shape.name), shape.says);
    text.push_str("| key | value | default | what it is for |\n| --- | --- | --- | --- |\n");
    for key in shape.keys {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            key.name,
            written_as(&key.kind),
            default(key),
            key.says
        );
    }
    text
}

fn default(key: &Key) -> String {
    match key.presence {
        Presence::Required => "**needed**".into(),
        Presence::Optional => String::new(),
        Presence::Default(text) => format!("`{text}`"),
    }
}

/// How a value is written, with its unit and range.
fn written_as(kind: &Kind) -> String {
    match kind {
        Kind::Flag => "`true` or `false`".into(),
        Kind::Whole(least, most) => format!("whole number, {least} to {most}"),
        Kind::Number(least, most) => format!("number, {least} to {most}"),
        Kind::Size(least, most) => format!("size, {} to {}", size::write(*least), size::write(*most)),
        Kind::Share => "share".into(),
        Kind::Duration(least, most) if *most == duration::LONGEST => {
            format!("duration, from {}", duration::write(*least))
        }
        Kind::Duration(least, most) => {
            format!("duration, {} to {}", duration::write(*least), duration::write(*most))
        }
        Kind::Name => "name".into(),
        Kind::Text => "text".into(),
        Kind::Address => "IP address and port".into(),
        Kind::Range => "`[lowest, highest]`".into(),
        Kind::OneOf(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::Secret => "secret".into(),
        Kind::Any => "any mapping".into(),
        Kind::List(item) => format!("list of: {}", written_as(item)),
        Kind::Named(value) | Kind::Keyed(value) => format!("mapping of names to: {}", written_as(value)),
        Kind::Shape(shape) => link(shape),
        Kind::Tagged(shapes) => shapes.iter().map(|(_, shape)| link(shape)).collect::<Vec<_>>().join(", "),
        Kind::Either(short, long) => format!("{}, or {}", written_as(short), written_as(long)),
    }
}

fn link(shape: &Shape) -> String {
    format!("[{}](#{})", shape.name, shape.name.replace(' ', "-"))
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}
