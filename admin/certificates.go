package admin

import (
	"strconv"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
)

// Certificate is a certificate that is shown to clients or backends, or where such come from: a directory of them, or an
// order. Nothing of a key is in it but its kind.
type Certificate struct {
	// One of these two is set: who shows it.
	Route string `json:"route,omitempty"`
	Pool  string `json:"pool,omitempty"`

	Source  string `json:"source"` // "file", "directory" or "acme"
	File    string `json:"file"`   // of the certificate; the directory; the storage of ACME
	KeyFile string `json:"key_file,omitempty"`
	Host    string `json:"host,omitempty"` // that ACME orders it for
	Default bool   `json:"default,omitempty"`

	InUse    *int   `json:"in_use,omitempty"`   // of a directory: certificates in memory
	First    string `json:"first,omitempty"`    // of a directory: the file that expires first among these; what follows is of it
	Obtained *bool  `json:"obtained,omitempty"` // of ACME
	Pending  string `json:"pending,omitempty"`  // of ACME: what came of the tries so far, as long as it is not obtained

	Names     []string   `json:"names"`                // never null; at most mostNames
	MoreNames int        `json:"more_names,omitempty"` // that are not in Names
	Key       string     `json:"key,omitempty"`        // "ECDSA P-256"
	Issuer    string     `json:"issuer,omitempty"`     // common name
	NotAfter  *time.Time `json:"not_after,omitempty"`
	DaysLeft  *int       `json:"days_left,omitempty"` // whole ones; below 0: it has expired
	Taken     *time.Time `json:"taken,omitempty"`     // when it was read from its file

	Refused      []RefusedFile `json:"refused,omitempty"` // why the newest files are not shown; at most 10
	RefusedTotal int           `json:"refused_total,omitempty"`
}

// RefusedFile is a file that is there and is not shown.
type RefusedFile struct {
	File  string `json:"file"`
	Error string `json:"error"` // to be read after the path
	Hint  string `json:"hint,omitempty"`
}

// CertificateList is one page of what GET /v1/certificates answers: those of routes, then those of pools, in file order.
type CertificateList struct {
	Certificates []Certificate `json:"certificates"` // never null
	Total        int           `json:"total"`        // that the filter lets through, on all pages
	// Next is what to give as `after` for the next page; "": this was the last.
	Next string `json:"next,omitempty"`
}

// Bounds on one answer. A certificate takes about 500 bytes of JSON, and 30 more for each name.
const (
	usualCertificates = 100
	maxCertificates   = 1000
	mostNames         = 100 // as many as Let's Encrypt puts into one certificate
	mostIssuer        = 64  // characters of a common name (RFC 5280 A.1, ub-common-name)
)

// certificateLists are the parameters of a list, certificateAsks those of the question which one a client is shown.
var (
	certificateLists = []string{"route", "pool", "limit", "after"}
	certificateAsks  = []string{"sni", "alpn", "client", "listener"}
)

// getCertificates lists them, or says which one a client is shown that asks for a name.
func getCertificates(a *api, r *request) (any, error) {
	q := r.query
	other, hint := certificateAsks[1:], "say which client is meant: sni=NAME"
	if q.text("sni") != "" {
		other, hint = certificateLists, "sni asks for one name; leave it out for a list"
	}
	for _, name := range other {
		if q.text(name) != "" {
			q.refuse(hint, "parameter %s does not go with the others", name)
		}
	}
	if q.text("sni") != "" {
		return shownCertificate(a, q)
	}
	return listCertificates(a, q)
}

// holder is a route or a pool that has certificates.
type holder struct {
	route, pool string // one of them is set
	set         *certs.Set
}

// holders are all that have certificates, in file order.
func (a *api) holders() (all []holder) {
	for _, x := range a.balancer.Routes().Routes() {
		if set := terminate.SetOf(x.Terminate); set != nil {
			all = append(all, holder{route: x.Name, set: set})
		}
	}
	for _, p := range a.balancer.Pools() {
		if set := terminate.FilesOf(p.TLS); set != nil {
			all = append(all, holder{pool: p.Name, set: set})
		}
	}
	return all
}

func listCertificates(a *api, q *query) (any, error) {
	limit, after := q.limit(usualCertificates, maxCertificates), q.text("after")
	only := holder{route: q.text("route"), pool: q.text("pool")}
	if err := q.err(); err != nil {
		return nil, err
	}
	list, now, on := &CertificateList{Certificates: []Certificate{}}, time.Now(), after == ""
	var end func() string           // the place of the last one on the page
	dirs := map[string]certs.Held{} // those on the page: routes may share them
	for _, h := range a.holders() {
		takes := h.passes(&only)
		for i := range h.set.Parts() {
			if takes {
				list.Total++
			}
			switch {
			case !on:
				on = h.place(i) == after
			case !takes || list.Next != "":
			case len(list.Certificates) == limit:
				list.Next = end()
			default:
				list.Certificates = append(list.Certificates, h.show(i, now, dirs))
				end = func() string { return h.place(i) }
			}
		}
	}
	if !on {
		return nil, notFound("it may have been deleted: begin again without after", "no certificate %s to go on after", clipped(after))
	}
	return list, nil
}

// passes reports whether a filter lets h through: a whole name in which * stands for any text; "" for anything.
func (h *holder) passes(only *holder) bool {
	return (only.route == "" || h.route != "" && matchStars(only.route, h.route)) &&
		(only.pool == "" || h.pool != "" && matchStars(only.pool, h.pool))
}

// place is where a page ends.
func (h *holder) place(part int) string {
	if h.pool != "" {
		return "pool/" + h.pool + "/" + strconv.Itoa(part)
	}
	return "route/" + h.route + "/" + strconv.Itoa(part)
}

// sources are the words for where a certificate comes from.
var sources = map[certs.Kind]string{certs.FromFile: "file", certs.FromDirectory: "directory", certs.FromACME: "acme"}

// show tells of one part of what h has. dirs remembers what directories hold, and may be nil.
func (h *holder) show(part int, now time.Time, dirs map[string]certs.Held) Certificate {
	dir := h.set.Dir(part)
	held, known := dirs[dir]
	if !known {
		held = h.set.Held(part)
		if dir != "" && dirs != nil {
			dirs[dir] = held
		}
	}
	c := Certificate{
		Route: h.route, Pool: h.pool, Source: sources[held.Kind], File: held.File, Host: held.Host, Names: []string{},
		Default: held.Default && h.pool == "", RefusedTotal: held.RefusedAll, // towards backends there is nothing but a default
	}
	if held.KeyFile != held.File {
		c.KeyFile = held.KeyFile
	}
	switch obtained := held.Cert != nil; {
	case held.Kind == certs.FromACME:
		c.Obtained = &obtained
		if held.Pending != nil {
			c.Pending = pendingText(held.Pending)
		}
	case held.Kind == certs.FromDirectory:
		c.InUse = &held.InUse
		if obtained {
			c.First = held.Cert.File
		}
	}
	for _, e := range held.Refused {
		c.Refused = append(c.Refused, RefusedFile{File: e.File, Error: e.Why, Hint: e.Hint})
	}
	c.describe(held.Cert, now)
	return c
}

// describe fills in what is in the certificate itself; nil: there is none.
func (c *Certificate) describe(x *certs.Choice, now time.Time) {
	if x == nil {
		return
	}
	c.Names = notNil(x.Names[:min(len(x.Names), mostNames)])
	c.MoreNames = len(x.Names) - len(c.Names)
	c.Key, c.Issuer = x.Key, shortened(x.Certificate.Leaf.Issuer.CommonName)
	end, days := x.NotAfter.UTC(), daysLeft(x.NotAfter, now)
	c.NotAfter, c.DaysLeft = &end, &days
	if !x.Taken.IsZero() {
		taken := x.Taken.UTC().Truncate(time.Second)
		c.Taken = &taken
	}
}

// daysLeft counts whole days; of what has expired, from -1. A [time.Duration] would end after 292 years, and certificates of
// devices end in the year 9999 (RFC 5280 §4.1.2.5).
func daysLeft(end, now time.Time) int {
	const day = 24 * 60 * 60
	seconds := end.Unix() - now.Unix()
	if end.Nanosecond() < now.Nanosecond() {
		seconds--
	}
	if seconds < 0 {
		seconds -= day - 1 // division rounds towards 0
	}
	return int(seconds / day)
}

// shortened is a common name of the length that it may have: nobody holds those who issue certificates to it.
func shortened(name string) string {
	if runes := []rune(name); len(runes) > mostIssuer {
		return string(runes[:mostIssuer]) + "…"
	}
	return name
}
