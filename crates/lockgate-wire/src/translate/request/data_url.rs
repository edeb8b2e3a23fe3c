//! Files that stand in a request as `data:` URLs.

/// The images that Anthropic's models see.
pub(super) const IMAGE_TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// The files that both providers' models read.
pub(super) const PDF_TYPE: &str = "application/pdf";

/// What a `data:` URL in base64 holds, still encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DataUrl<'u> {
    /// In lower case, without parameters.
    pub(super) media_type: String,
    pub(super) data: &'u str,
}

impl<'u> DataUrl<'u> {
    /// `None` for another URL, and for one that is not in base64.
    pub(super) fn read(url: &'u str) -> Option<Self> {
        let (head, data) = url.split_once(',')?;
        let mut parameters = without_prefix(head, "data:")?.split(';');
        let media_type = parameters.next()?.trim().to_ascii_lowercase();
        let is_base64 = parameters.next_back().is_some_and(|last| last.trim().eq_ignore_ascii_case("base64"));
        (is_base64 && !data.is_empty()).then_some(Self { media_type, data })
    }
}

/// Whether a URL is one that a provider can fetch.
pub(super) fn is_web(url: &str) -> bool {
    without_prefix(url, "https://")
        .or_else(|| without_prefix(url, "http://"))
        .is_some_and(|rest| !rest.is_empty())
}

fn without_prefix<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}
