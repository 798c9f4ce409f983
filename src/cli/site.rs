//! The operator's face of the pages, from the settings; what is wrong in them is told before anything is opened.

use std::path::Path;

use anyhow::{Context, bail};

use crate::config;
use crate::domain::site::{Colour, Crest, Site, parse_links, parse_texts};

/// The site that the settings describe.
pub fn site(config: &config::Site) -> anyhow::Result<Site> {
    let mut site = Site::default();
    if let Some(name) = &config.site_name {
        site.name = parse_texts(name).context("POLICAST_SITE_NAME")?;
        if site.name.is_empty() {
            bail!("POLICAST_SITE_NAME is empty");
        }
    }
    if let Some(footer) = &config.site_footer {
        site.footer = parse_texts(footer).context("POLICAST_SITE_FOOTER")?;
    }
    if let Some(links) = &config.site_links {
        site.links = parse_links(links).context("POLICAST_SITE_LINKS")?;
    }
    let colour = |text: &String| text.parse::<Colour>();
    let light = config.site_colour.as_ref().map(|text| colour(text).and_then(Colour::on_light));
    site.colour = light.transpose().context("POLICAST_SITE_COLOUR")?;
    let dark = config.site_dark_colour.as_ref().map(|text| colour(text).and_then(Colour::on_dark));
    site.dark_colour = dark.transpose().context("POLICAST_SITE_DARK_COLOUR")?;
    site.crest = config.site_crest.as_deref().map(crest).transpose().context("POLICAST_SITE_CREST")?;
    Ok(site)
}

fn crest(file: &Path) -> anyhow::Result<Crest> {
    let content_type = match file.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("webp") => "image/webp",
        _ => bail!("{} is no .svg, .png, .jpg or .webp file", file.display()),
    };
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    Ok(Crest::new(bytes, content_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(config: &config::Site) -> String {
        site(config).map_or_else(|error| format!("{error:#}"), |site| format!("{:?}", site.name))
    }

    #[test]
    fn a_wrong_setting_is_named_with_what_is_wrong() {
        let none = config::Site::default;
        let colour = config::Site { site_colour: Some("blue".to_owned()), ..none() };
        assert_eq!(told(&colour), "POLICAST_SITE_COLOUR: \"blue\" is no colour such as #16498f");
        let crest = config::Site { site_crest: Some("crest.gif".into()), ..none() };
        assert_eq!(told(&crest), "POLICAST_SITE_CREST: crest.gif is no .svg, .png, .jpg or .webp file");
        let gone = config::Site { site_crest: Some("/nowhere/crest.svg".into()), ..none() };
        assert!(
            told(&gone).starts_with("POLICAST_SITE_CREST: /nowhere/crest.svg: No such file"),
            "{}",
            told(&gone)
        );
        let empty = config::Site { site_name: Some(" ".to_owned()), ..none() };
        assert_eq!(told(&empty), "POLICAST_SITE_NAME is empty");
        let links = config::Site { site_links: Some("Imprint".to_owned()), ..none() };
        assert!(told(&links).starts_with("POLICAST_SITE_LINKS: no list such as"), "{}", told(&links));
        assert!(told(&none()).contains("policast"));
    }
}
