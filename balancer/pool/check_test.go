package pool

import (
	"crypto/x509"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

// trusted is a file of authorities.
type trusted string

func (trusted) Authorities() *x509.CertPool { return nil }
func (f trusted) Equal(other any) bool      { return other == any(f) }

// Every field counts: one that Equal forgot would let two pools share a check that one of them did not ask for.
func TestChecksThatDifferInOneFieldAreNotEqual(t *testing.T) {
	other := map[reflect.Type]any{
		reflect.TypeFor[netip.Addr]():    netip.MustParseAddr("192.0.2.1"),
		reflect.TypeFor[[]string]():      []string{"h2"},
		reflect.TypeFor[[]int]():         []int{204},
		reflect.TypeFor[Authorities]():   trusted("a.pem"),
		reflect.TypeFor[string]():        "x",
		reflect.TypeFor[time.Duration](): time.Second,
	}
	typ := reflect.TypeFor[Check]()
	for i := range typ.NumField() {
		f := typ.Field(i)
		var a, b Check
		v := reflect.ValueOf(&b).Elem().Field(i)
		if x, ok := other[f.Type]; ok {
			v.Set(reflect.ValueOf(x))
		} else {
			v.Set(reflect.ValueOf(1).Convert(f.Type))
		}
		if same := b; !same.Equal(&b) {
			t.Errorf("%s: a copy is not equal", f.Name)
		}
		if a.Equal(&b) || b.Equal(&a) {
			t.Errorf("%s: %+v and %+v are equal", f.Name, a, b)
		}
	}
}

func TestNoCheckEqualsNoCheckOnly(t *testing.T) {
	var none *Check
	if !none.Equal(nil) || none.Equal(&Check{}) || (&Check{}).Equal(nil) {
		t.Error("nil is not equal to nil alone")
	}
}

func TestCheckTypesAreReadAsTheyAreWritten(t *testing.T) {
	for _, typ := range []CheckType{CheckTCP, CheckTLS, CheckHTTP, CheckHTTPS} {
		if got, ok := ParseCheckType(typ.String()); got != typ || !ok {
			t.Errorf("ParseCheckType(%q) = %v, %v", typ, got, ok)
		}
	}
	if _, ok := ParseCheckType("ping"); ok {
		t.Error("ping is read")
	}
	if got := CheckType(9).String() + CheckVerify(9).String(); got != "invalidinvalid" {
		t.Errorf("unknown values are written %q", got)
	}
}

func TestCheckTarget(t *testing.T) {
	backend := netip.MustParseAddrPort("192.0.2.1:443")
	for _, c := range []struct {
		name  string
		check Check
		want  string
	}{
		{"the backend itself", Check{}, "192.0.2.1:443"},
		{"another port", Check{Port: 8080}, "192.0.2.1:8080"},
		{"another address", Check{Address: netip.MustParseAddr("2001:db8::1")}, "[2001:db8::1]:443"},
		{"both", Check{Address: netip.MustParseAddr("192.0.2.9"), Port: 1}, "192.0.2.9:1"},
	} {
		if got := c.check.Target(backend).String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
