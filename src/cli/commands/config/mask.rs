//! Passwords that stand in URLs, made unreadable for whoever looks at settings. Knows no setting.

use serde_json::Value;

/// A password in a URL is a secret, wherever it stands: in an endpoint, or in the words of a command.
pub fn passwords_in_urls(value: &mut Value) {
    match value {
        Value::String(text) => *text = without_userinfo(text),
        Value::Array(items) => items.iter_mut().for_each(passwords_in_urls),
        Value::Object(object) => object.values_mut().for_each(passwords_in_urls),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn without_userinfo(text: &str) -> String {
    let mut parts = text.split("://");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(part.len());
        let host = part[..end].rfind('@').unwrap_or(0);
        let hidden = if host > 0 { "(hidden)" } else { "" };
        out.push_str(&format!("://{hidden}{}", &part[host..]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::without_userinfo;

    #[test]
    fn passwords_in_urls_are_hidden() {
        for (text, shown) in [
            ("https://me:geheim@host/x@y", "https://(hidden)@host/x@y"),
            ("pg_dump postgres://me:ge@heim@host:1/app -f x://a", "pg_dump postgres://(hidden)@host:1/app -f x://a"),
            ("s3://bucket/x", "s3://bucket/x"),
            ("a@b", "a@b"),
            ("://@", "://@"),
        ] {
            assert_eq!(without_userinfo(text), shown);
        }
    }
}
