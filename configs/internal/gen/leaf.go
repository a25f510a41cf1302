package main

import (
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/seed-23b4a313/switchyard/configs/internal/file"
)

// leaf is how one kind of value is written.
type leaf struct {
	name    string // in the reference
	about   string // its paragraph in the reference
	typ     string // in the schema
	pattern string // in the schema; never stricter than the program
	orList  bool   // a list of such values is one too
}

// leaves are all kinds of values, in the order of the reference.
var leaves = []struct {
	of reflect.Type
	leaf
}{
	{reflect.TypeFor[file.Text](), leaf{"text", "Text that is not empty. What YAML takes for something else (`123`, `true`, `*.example.com`) needs quotes.", "string", ".", false}},
	{reflect.TypeFor[file.Name](), leaf{"name", "1 to 64 letters, digits, `_`, `.` and `-`.", "string", `^[A-Za-z0-9_.-]{1,64}$`, false}},
	{reflect.TypeFor[file.Flag](), leaf{"flag", "`true` or `false`.", "boolean", "", false}},
	{reflect.TypeFor[file.Count](), leaf{"number", "A whole decimal number.", "integer", "", false}},
	{reflect.TypeFor[file.Duration](), leaf{"duration", "Numbers with units `ms`, `s`, `m` and `h`: `500ms`, `5s`, `1h30m`. The unit is never left out, not even of `0s`.", "string", `^[0-9.]+(ns|us|µs|ms|s|m|h)([0-9.]+(ns|us|µs|ms|s|m|h))*$`, false}},
	{reflect.TypeFor[file.Size](), leaf{"size", "A whole number of bytes with the unit `B`, `KiB`, `MiB` or `GiB`: `64KiB` is 65536 bytes.", "string", `^[0-9]+(B|KiB|MiB|GiB)$`, false}},
	{reflect.TypeFor[file.Rate](), leaf{"rate", "A whole number for each second or minute: `50/s`, `30/m`.", "string", `^[0-9]+/[sm]$`, false}},
	{reflect.TypeFor[file.Percent](), leaf{"percentage", "A whole number with a percent sign: `50%`.", "string", `^[0-9]+%$`, false}},
	{reflect.TypeFor[file.Bind](), leaf{"address to accept on", "An IP address and a port, `127.0.0.1:8443` or `[::1]:8443`, or a port of all addresses of both families, `:8443`.", "string", `:[0-9]{1,5}$`, false}},
	{reflect.TypeFor[file.Endpoint](), leaf{"IP address and port", "`127.0.0.1:9901` or `[::1]:9901`.", "string", `:[0-9]{1,5}$`, false}},
	{reflect.TypeFor[file.Target](), leaf{"backend address", "`192.0.2.7:443`, `[2001:db8::7]:443`, `db.example.net:443` or `srv:_https._tcp.example.net`. The unspecified, multicast and broadcast addresses, the metadata addresses of clouds (169.254.169.254, fd00:ec2::254) and the addresses of the listeners are refused.", "string", `:[0-9]{1,5}$|^srv:_`, false}},
	{reflect.TypeFor[file.Address](), leaf{"IP address", "`192.0.2.7` or `2001:db8::7`.", "string", `[.:]`, false}},
	{reflect.TypeFor[file.Prefix](), leaf{"network", "An IP address, a slash and the length of the prefix, without bits after it: `10.0.0.0/8`, `2001:db8::/32`.", "string", `/[0-9]{1,3}$`, false}},
	{reflect.TypeFor[file.Protocol](), leaf{"protocol", "A name of 1 to 255 bytes as ALPN uses it: `h2`, `http/1.1`, `acme-tls/1`.", "string", ".", false}},
	{reflect.TypeFor[file.Protocols](), leaf{"protocols", "One protocol, or a list of 1 to 64: `h2`, `[h2, http/1.1]`.", "string", ".", true}},
	{reflect.TypeFor[file.Path](), leaf{"path", "The path of a file. A relative one starts at the directory of the configuration file.", "string", ".", false}},
}

// leafOf returns how values of t are written; ok is false for a mapping.
func leafOf(t reflect.Type) (l leaf, words []string, ok bool) {
	if w, is := reflect.New(t).Interface().(interface{ Words() []string }); is {
		words = w.Words()
		return leaf{name: "`" + strings.Join(words, "`, `") + "`", typ: "string"}, words, true
	}
	for _, x := range leaves {
		if x.of == t {
			return x.leaf, nil, true
		}
	}
	return leaf{}, nil, false
}

// schema returns the schema of a leaf.
func (l leaf) schema(words []string) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: l.typ, Pattern: l.pattern}
	for _, w := range words {
		s.Enum = append(s.Enum, w)
	}
	if l.orList {
		list := &jsonschema.Schema{Type: "array", Items: s}
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{s, list}}
	}
	return s
}
