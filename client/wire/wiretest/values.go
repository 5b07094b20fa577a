package wiretest

import (
	"fmt"
	"net/url"
	"strings"
)

// texts are hostile where a text is read: in paths, in queries and in members of bodies.
var texts = []string{
	"", " ", "..", ".", "../1", "../../etc/passwd", "..\\..\\windows", "a/b", "/", "//", "%", "%2e%2e", "%2e%2e%2fetc%2fpasswd", "%00", "*", "?", "#",
	"\x00", "1\x00", "\x1b[31mred\x1b[0m", "\a\b\x7f", "a\r\nX-Evil: 1", "\n", "\u202e1", "\u200b", "\ufeff", "e\u0301", "１", "😀",
	"'; DROP TABLE users; --", `" OR 1=1 --`, "1 UNION SELECT 1", "$(reboot)", "`id`", "; reboot", "| cat", "${IFS}", "{{.}}", "<script>alert(1)</script>",
	"-1", "0", "00", "01", "+1", "1.0", "1e0", "1e999", "0x1", "1_0", "2147483648", "4294967296", "9223372036854775808", "18446744073709551616", "99999999999999999999999999",
	"NaN", "Infinity", "null", "undefined", "true ", "TRUE", "[]", "{}", "{application}", ":application", "0.0.0.0", "::1%eth0",
	strings.Repeat("a", 300), strings.Repeat("9", 5000), strings.Repeat("é", 5000),
}

// broken are no UTF-8, which JSON cannot carry and the escapes of an address can.
var broken = []string{"\xff\xfe", "a\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80"}

// queries are hostile as a whole query.
func queries(name string) []string {
	escaped := url.QueryEscape(name)
	return []string{
		escaped, escaped + "=%zz", escaped + "=%", escaped + "=1;" + escaped + "=2", escaped + "=1&" + escaped + "=1", escaped + "[]=1", escaped + "[a]=1",
		"surprise7=1", "%00=1", "=1", "&&&", escaped + "=" + strings.Repeat("a", 32<<10), strings.Repeat("a=1&", 5000),
	}
}

// documents are hostile as a whole body of JSON.
func documents() []string {
	return []string{
		" ", "null", "true", "1", `"text"`, "[]", "[null]", "{", `{"a`, `{"a":`, "{}{}", "{} x", "nul", "\ufeff{}", "\x00", "\xff\xfe{\x00}\x00", "{'a':1}", `{"a":1,}`, "{\"a\":\"\x01\"}",
		`{"":1}`, `{"surprise7":1}`, strings.Repeat("[", 10_000), strings.Repeat(`{"a":`, 10_000), nested(20_000), strings.Repeat("{", 500_000),
		`{"a":"` + strings.Repeat("x", 512<<10) + `"}`, "[" + strings.Repeat("0,", 200_000) + "0]", members(20_000),
	}
}

// values are hostile as a JSON value of a member.
func values() []string {
	all := []string{
		"null", "true", "false", "[]", "{}", "[null]", `[""]`, `{"":null}`, "0", "-0", "-1", "1.5", "1e2", "1e400", "1e-400", "2147483648", "-2147483649", "9223372036854775807",
		"9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", strings.Repeat("9", 2000), "NaN", "Infinity", "0x10", "01", "+1", ".5", "",
		`"\ud800"`, `"\udc00\ud800"`, `"\u0000"`, `"\x"`, "\"\xff\xfe\"", "\"a\xc3\"", "\"\x01\"", `"` + strings.Repeat("a", 64<<10) + `"`, `"` + strings.Repeat(`\u0000`, 2000) + `"`,
		nested(9_990), nested(10_010), strings.Repeat("[", 5000), "[" + strings.Repeat("0,", 20_000) + "0]", "[" + strings.Repeat(`"a",`, 20_000) + `"a"]`,
		"[" + strings.Repeat("{},", 5000) + "{}]", members(5000),
	}
	for _, text := range texts {
		all = append(all, quote(text))
	}
	return all
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// members is an object with many of them.
func members(count int) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, `,"m%d":1`, i)
	}
	return "{" + b.String()[1:] + "}"
}

// headers are hostile among those that a server and what stands before it look at.
func headers(known []string) []header {
	list := []header{
		{"Accept", "text/html;q=nan"},
		{"Accept", "application/cbor"},
		{"Accept-Encoding", "gzip, deflate, br;q=2"},
		{"Range", "bytes=0-0,1-1,-1"},
		{"Range", "bytes=9223372036854775807-"},
		{"Range", "bytes=" + strings.Repeat("0-,", 5000)},
		{"If-None-Match", "*"},
		{"If-Match", `"x"`},
		{"If-Modified-Since", "never"},
		{"Content-Encoding", "gzip"},
		{"Content-Encoding", "br, gzip"},
		{"Content-Type", ""},
		{"Content-Type", "application/json; charset=utf-7"},
		{"Content-Type", "multipart/form-data; boundary=" + strings.Repeat("a", 2000)},
		{"Content-Type", "application/xml"},
		{"X-Http-Method-Override", "DELETE"},
		{"X-Forwarded-For", "127.0.0.1"},
		{"X-Original-Url", "/v1/users"},
		{"Forwarded", "for=127.0.0.1;proto=https"},
		{"Origin", "https://evil.example"},
		{"Sec-Fetch-Site", "cross-site"},
		{"Cookie", strings.Repeat("a=b; ", 5000)},
		{"Upgrade", "websocket"},
		{"Upgrade", "h2c"},
		{"Connection", "Upgrade, close, X-Request-Id"},
		{"Trailer", "Content-Length"},
		{"Te", "trailers, chunked"},
		{"X-Surprise", strings.Repeat("a", 48<<10)},
	}
	for _, name := range known {
		for _, value := range []string{
			"", " ", "-1", "0", "x", "18446744073709551616", "1e9", "null", "{}", `{"boot_id":1}`, nested(2000), strings.Repeat("a", 20<<10),
			"'; --", "../..", "\x1b[31m", "\xff\xfe", "é", "Bearer", "Bearer ", "Bearer \xff", "Bearer " + strings.Repeat("a", 20<<10), "Basic YTpi", "Negotiate", "Relay", "Relay a b",
		} {
			list = append(list, header{name, value})
		}
	}
	return list
}

type header struct{ name, value string }
