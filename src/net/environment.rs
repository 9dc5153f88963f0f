//! The proxies that the environment names, by the rules that programs have
//! agreed on: those of curl.

use std::fmt;
use std::net::IpAddr;

use url::Host;

use crate::error::Error;
use crate::failure::Failure;
use crate::net::proxy::Proxy;
use crate::url::HttpUrl;

/// What the environment says about proxies, as of one moment: the moment of
/// eventsource_connect(), on the program's thread, since reading the
/// environment beside a thread that changes it is undefined in C.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Environment(Vec<Variable>);

/// Of two that differ in case only, the first wins, as in curl.
const NAMES: [&str; 8] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// The name and value of a variable that is not empty. The value may hold a
/// password.
#[derive(Clone, PartialEq)]
struct Variable(&'static str, String);

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Environment {
    /// Looks at the variables of the process.
    pub(crate) fn of_process() -> Environment {
        Environment::read(|name| {
            let value = std::env::var_os(name)?;
            Some(value.to_string_lossy().into_owned())
        })
    }

    pub(crate) fn read(value: impl Fn(&str) -> Option<String>) -> Environment {
        let variable = |name| {
            let value = value(name)?;
            (!value.is_empty()).then_some(Variable(name, value))
        };
        // A server hands a request's header `Proxy` to its CGI programs as
        // HTTP_PROXY, so that whoever sends the request would choose the
        // proxy (CVE-2016-5385 and others).
        let cgi = value("REQUEST_METHOD").is_some();
        let names = NAMES.into_iter();
        let names = names.filter(|name| !(cgi && *name == "HTTP_PROXY"));
        Environment(names.filter_map(variable).collect())
    }

    fn get(&self, name: &str) -> Option<&Variable> {
        self.0.iter().find(|variable| variable.0.eq_ignore_ascii_case(name))
    }

    /// The proxy to go through to a URL, if there is one: none where the host
    /// is this machine, and the proxy another. A value that is no proxy's URL
    /// is a failure: to connect directly would show what the proxy is there
    /// to hide.
    pub(crate) fn proxy(
        &self,
        url: &HttpUrl,
    ) -> Result<Option<Proxy>, Failure> {
        // A proxy would look for its own loopback. Go, Firefox and Chromium
        // leave it out, too; curl does not.
        if url.is_loopback() {
            return Ok(None);
        }
        let own = match url.is_secure() {
            true => self.get("https_proxy"),
            false => self.get("http_proxy"),
        };
        let proxy = own.or_else(|| self.get("all_proxy"));
        let Some(Variable(name, value)) = proxy else { return Ok(None) };
        if let Some(Variable(_, exceptions)) = self.get("no_proxy")
            && is_exception(exceptions, url)
        {
            return Ok(None);
        }
        parse(value).map(Some).map_err(|_| {
            Failure::new(
                Error::Proxy,
                format!("the environment's {name} is no proxy's URL"),
            )
        })
    }
}

/// Reads a variable's value, in which desktops write `socks://`: SOCKS4, as
/// curl has it.
fn parse(value: &str) -> Result<Proxy, Error> {
    match value.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("socks") => {
            Proxy::parse(&format!("socks4://{rest}"))
        }
        _ => Proxy::parse(value),
    }
}

/// Whether the host of `url` is on a list of hosts.
fn is_exception(list: &str, url: &HttpUrl) -> bool {
    let (host, port) = (url.host(), url.port());
    list.split([',', ' ', '\t'])
        .filter(|entry| !entry.is_empty())
        .any(|entry| entry == "*" || entry_matches(entry, &host, port))
}

/// Whether an entry, `host`, `host:port`, `address` or `address/bits`, is
/// about a host and port.
fn entry_matches(entry: &str, host: &Host<&str>, port: u16) -> bool {
    if let Some((network, bits)) = entry.split_once('/') {
        return address(host)
            .zip(network.parse().ok())
            .zip(bits.parse().ok())
            .is_some_and(|((address, network), bits)| {
                is_within(address, network, bits)
            });
    }
    if let Ok(named) = entry.parse::<IpAddr>() {
        return address(host) == Some(named.to_canonical());
    }
    let (name, wanted) = match entry.rsplit_once(':') {
        // In `[::1]` the colons are the address's own.
        Some((name, digits)) if !digits.ends_with(']') => {
            (name, digits.parse().ok())
        }
        _ => (entry, Some(port)),
    };
    if wanted != Some(port) {
        return false;
    }
    // `*.example`, `.example` and `example` mean the same: the domain and all
    // below it.
    let name = name.strip_prefix('*').unwrap_or(name);
    let name = name.strip_prefix('.').unwrap_or(name);
    match (Host::parse(name), host) {
        (Ok(Host::Domain(domain)), Host::Domain(host)) => {
            is_below(host.trim_end_matches('.'), domain.trim_end_matches('.'))
        }
        (Ok(named), host) => address(host)
            .is_some_and(|host| Some(host) == address(&borrowed(&named))),
        (Err(_), _) => false,
    }
}

fn borrowed(host: &Host<String>) -> Host<&str> {
    match host {
        Host::Domain(name) => Host::Domain(name),
        Host::Ipv4(address) => Host::Ipv4(*address),
        Host::Ipv6(address) => Host::Ipv6(*address),
    }
}

fn address(host: &Host<&str>) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some(IpAddr::from(*address).to_canonical()),
    }
}

/// Whether a host is a domain, or in it.
fn is_below(host: &str, domain: &str) -> bool {
    // At a dot: `notexample.com` is not below `example.com`.
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (address, network, size) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (address.to_bits().into(), network.to_bits().into(), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            (address.to_bits(), network.to_bits(), 128)
        }
        _ => return false,
    };
    let Some(rest) = u32::checked_sub(size, bits) else { return false };
    // A network of no bits holds every address.
    // What differs must stand behind the network's bits.
    (address ^ network).checked_shr(rest).unwrap_or(0_u128) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let environment = Environment::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.to_string())
        });
        let proxy = environment.proxy(&HttpUrl::parse(url).unwrap()).unwrap();
        proxy.map(|proxy| proxy.to_string())
    }

    #[test]
    fn each_scheme_has_its_variable() {
        let all = [
            ("http_proxy", "a:1"),
            ("https_proxy", "b:1"),
            ("ALL_PROXY", "socks5h://c"),
        ];
        let found = |variables, url| proxy(variables, url);
        assert_eq!(found(&all, "http://x/").unwrap(), "http://a:1");
        assert_eq!(found(&all, "https://x/").unwrap(), "http://b:1");
        let socks = "socks5h://c:1080";
        assert_eq!(found(&all[1..], "http://x/").unwrap(), socks);
        assert_eq!(found(&all[2..], "https://x/").unwrap(), socks);
        assert_eq!(found(&all[..2], "http://x/").unwrap(), "http://a:1");
        assert_eq!(found(&all[..1], "https://x/"), None);
        assert_eq!(found(&[], "https://x/"), None);
    }

    #[test]
    fn lower_case_goes_before_upper_case_and_empty_is_none() {
        for (lower, upper, url) in [
            ("http_proxy", "HTTP_PROXY", "http://x/"),
            ("https_proxy", "HTTPS_PROXY", "https://x/"),
            ("all_proxy", "ALL_PROXY", "https://x/"),
        ] {
            let both = [(lower, "a:1"), (upper, "b:1")];
            assert_eq!(proxy(&both, url).unwrap(), "http://a:1");
            let empty = [(lower, ""), (upper, "b:1")];
            assert_eq!(proxy(&empty, url).unwrap(), "http://b:1");
        }
    }

    #[test]
    fn a_request_to_a_cgi_program_names_no_proxy() {
        let cgi = ("REQUEST_METHOD", "GET");
        let upper = ("HTTP_PROXY", "evil");
        assert_eq!(proxy(&[cgi, upper], "http://x/"), None);
        assert!(proxy(&[cgi, ("http_proxy", "a")], "http://x/").is_some());
        assert!(proxy(&[cgi, ("HTTPS_PROXY", "a")], "https://x/").is_some());
        assert!(proxy(&[upper], "http://x/").is_some());
    }

    #[test]
    fn a_variable_that_names_no_proxy_is_an_error_and_not_shown() {
        let environment = Environment::read(|name| {
            (name == "ALL_PROXY").then(|| "ftp://user:secret@x".to_owned())
        });
        let url = HttpUrl::parse("http://x/").unwrap();
        let failure = environment.proxy(&url).err().unwrap();
        assert_eq!(failure.error, Error::Proxy);
        assert!(failure.message.contains("ALL_PROXY"), "{failure}");
        assert!(!failure.message.contains("secret"), "{failure}");
    }

    #[test]
    fn loopback_hosts_have_no_proxy() {
        for (host, is_loopback) in [
            ("localhost", true),
            ("LOCALHOST", true),
            ("localhost.", true),
            ("a.b.localhost", true),
            ("a.localhost.", true),
            ("127.0.0.1", true),
            ("127.255.0.1", true),
            ("2130706433", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]", true),
            ("notlocalhost", false),
            ("localhost.test", false),
            ("localhost.localdomain", false),
            ("127.0.0.1.test", false),
            ("128.0.0.1", false),
            ("0.0.0.0", false),
            ("[::]", false),
            ("[::2]", false),
        ] {
            for scheme in ["http", "https"] {
                let url = format!("{scheme}://{host}:8080/");
                let found = proxy(&[("ALL_PROXY", "p")], &url);
                assert_eq!(found.is_none(), is_loopback, "{url}");
            }
        }
    }

    #[test]
    fn socks_without_a_number_is_socks4() {
        for (value, expected) in [
            ("socks://proxy", "socks4://proxy:1080"),
            ("SOCKS://user@proxy:9050/", "socks4://proxy:9050"),
            ("socks5://proxy", "socks5://proxy:1080"),
        ] {
            let found = proxy(&[("ALL_PROXY", value)], "https://x/");
            assert_eq!(found.as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn no_proxy_names_hosts() {
        for (list, url, is_exception) in [
            ("*", "http://x/", true),
            ("a, * ,b", "http://x/", true),
            ("example.com", "http://example.com/", true),
            ("example.com", "http://www.EXAMPLE.com./", true),
            ("EXAMPLE.com.", "http://www.example.com/", true),
            ("example.com", "http://notexample.com/", false),
            ("example.com", "http://example.com.evil/", false),
            (".example.com", "http://www.example.com/", true),
            (".example.com", "http://example.com/", true),
            ("*.example.com", "http://a.b.example.com/", true),
            ("a,b\tc d", "http://d/", true),
            ("a,,b", "http://c/", false),
            ("m\u{fc}ller.de", "http://xn--mller-kva.de/", true),
            ("example.com:80", "http://example.com/", true),
            ("example.com:80", "http://www.example.com:80/", true),
            ("example.com:80", "http://example.com:81/", false),
            ("example.com:80", "https://example.com/", false),
            ("example.com:443", "https://example.com/", true),
            ("example.com:x", "http://example.com/", false),
            ("10.0.0.1", "http://10.0.0.1/", true),
            ("10.0.0.1", "http://10.0.0.10/", false),
            ("10.0.0.1:80", "http://10.0.0.1/", true),
            ("10.0.0.1:80", "http://10.0.0.1:81/", false),
            ("0.0.1", "http://10.0.0.1/", false),
            ("10.0.0.0/8", "http://10.255.0.1/", true),
            ("10.0.0.0/8", "http://11.0.0.1/", false),
            ("10.0.0.0/33", "http://10.0.0.0/", false),
            ("10.0.0.0/x", "http://10.0.0.0/", false),
            ("192.0.2.128/25", "http://192.0.2.127/", false),
            ("192.0.2.128/25", "http://192.0.2.129/", true),
            ("0.0.0.0/0", "http://192.0.2.1/", true),
            ("0.0.0.0/0", "http://example.com/", false),
            ("0.0.0.0/0", "http://[fd00::1]/", false),
            ("::/0", "http://[2001:db8::1]/", true),
            ("2001:db8::/32", "http://[2001:db8:1::1]/", true),
            ("2001:db8::/32", "http://[2001:db9::1]/", false),
            ("fd00::1", "http://[fd00::1]:8080/", true),
            ("[fd00::1]", "http://[fd00::1]:8080/", true),
            ("[fd00::1]:8080", "http://[fd00::1]:8080/", true),
            ("[fd00::1]:8080", "http://[fd00::1]/", false),
            ("10.0.0.1", "http://[::ffff:10.0.0.1]/", true),
        ] {
            let variables = [("http_proxy", "p"), ("https_proxy", "p")];
            let both = [variables[0], variables[1], ("NO_PROXY", list)];
            let proxy = proxy(&both, url);
            assert_eq!(proxy.is_none(), is_exception, "{list} {url}");
        }
    }
}
