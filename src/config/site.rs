//! How the pages present themselves.

use std::path::PathBuf;

use clap::Args;

/// The operator's own face of the pages.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Settings: site")]
pub struct Site {
    /// Name of the site on its pages: a text, or JSON by language {"en": "…", "zh-Hans": "…"} [default: policast]
    #[arg(long, env = "POLICAST_SITE_NAME", value_name = "TEXT")]
    pub site_name: Option<String>,
    /// Picture beside the name and in browsers' tabs: an SVG, PNG, JPEG or WebP file
    #[arg(long, env = "POLICAST_SITE_CREST", value_name = "FILE")]
    pub site_crest: Option<PathBuf>,
    /// Colour of links and buttons on light pages, 4.5 to 1 in contrast to white at least; without one, #16498f
    #[arg(long, env = "POLICAST_SITE_COLOUR", value_name = "COLOUR")]
    pub site_colour: Option<String>,
    /// The same on dark pages; without one, #8ab4f8
    #[arg(long, env = "POLICAST_SITE_DARK_COLOUR", value_name = "COLOUR")]
    pub site_dark_colour: Option<String>,
    /// Text at the end of each page, as the name [default: the name and what it is for]
    #[arg(long, env = "POLICAST_SITE_FOOTER", value_name = "TEXT")]
    pub site_footer: Option<String>,
    /// Links at the end of each page, JSON: [{"name": {"en": "Imprint"}, "url": "https://…"}]
    #[arg(long, env = "POLICAST_SITE_LINKS", value_name = "JSON")]
    pub site_links: Option<String>,
}
