package admin

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"time"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

// page is complete in itself: the policy it is sent with lets a browser load nothing and run nothing, and apply no
// style but ours.
var (
	page = template.Must(template.New("page").Funcs(template.FuncMap{
		"style":   func() template.CSS { return template.CSS(pageStyle) },
		"bytes":   FormatBytes[uint64],
		"seconds": formatSeconds,
	}).Parse(pageText))

	pagePolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src '" + styleHash() + "'"
)

func styleHash() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// pageData is a Status and what sums it up.
type pageData struct {
	Status
	BackendsUp, Backends int
}

func newPageData(s Status) pageData {
	d := pageData{Status: s}
	for _, p := range s.Pools {
		d.Backends += len(p.Backends)
		for _, b := range p.Backends {
			if b.Up {
				d.BackendsUp++
			}
		}
	}
	return d
}

// Used is how much of the connection limit is in use, for people.
func (d pageData) Used() string {
	return fmt.Sprintf("%.0f %%", 100*float64(d.Active)/float64(d.Limit))
}

func (s *state) servePage(w http.ResponseWriter, _ *http.Request) {
	var b bytes.Buffer
	if err := page.Execute(&b, newPageData(s.status())); err != nil {
		serveError(w, http.StatusInternalServerError, "the status page cannot be made")
		return
	}
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Security-Policy", pagePolicy)
	head.Set("Referrer-Policy", "no-referrer")
	_, _ = b.WriteTo(w) // the client is gone: nobody to tell
}

// FormatBytes writes n, bytes or bytes a second, with a binary prefix and three digits.
func FormatBytes[N uint64 | float64](n N) string {
	if n < 1024 {
		return fmt.Sprintf("%.0f B", float64(n))
	}
	v, i := float64(n)/1024, 0
	for ; v >= 1000 && i < len(binaryPrefixes)-1; i++ {
		v /= 1024
	}
	return fmt.Sprintf("%.3g %ciB", v, binaryPrefixes[i])
}

const binaryPrefixes = "KMGTPE"

// formatSeconds writes s as people do, with about three digits.
func formatSeconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(10 * time.Nanosecond).String()
}
