package importer

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

const maxName = 253

var validName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// ValidName makes a name that an object of Kubernetes can have out of any text:
// what is valid stays as it is. Different texts can get the same name.
func ValidName(text string) string {
	if len(text) <= maxName && validName.MatchString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' {
			b.WriteRune(r)
		} else {
			b.WriteByte('-')
		}
	}
	var labels []string
	for _, label := range strings.Split(b.String(), ".") {
		if label = strings.Trim(label, "-"); label != "" {
			labels = append(labels, collapse(label))
		}
	}
	name := strings.Join(labels, ".")
	switch {
	case name == "":
		return "x-" + digest(text)
	case len(name) > maxName:
		return strings.TrimRight(name[:maxName-9], ".-") + "-" + digest(text)
	}
	return name
}

// collapse makes one dash of several.
func collapse(label string) string {
	for strings.Contains(label, "--") {
		label = strings.ReplaceAll(label, "--", "-")
	}
	return label
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

// candidate is an object that needs a name.
type candidate struct {
	object v1alpha1.Object
	// wish is the name to have; host tells objects of the same name apart.
	wish, host string
}

// nameAll names custom resources, each kind and namespace for itself. Those whose
// wish is a valid name come first, so that another one's spelling never takes a
// name away from them.
func nameAll(candidates []candidate) {
	taken := map[string]bool{}
	key := func(c candidate, name string) string {
		return c.object.KindName() + "/" + c.object.GetNamespace() + "/" + name
	}
	for _, exact := range []bool{true, false} {
		for _, c := range candidates {
			if (ValidName(c.wish) == c.wish) != exact {
				continue
			}
			name := ValidName(c.wish)
			if taken[key(c, name)] {
				name = ValidName(c.host + "-" + c.wish)
			}
			for n, base := 2, name; taken[key(c, name)]; n++ {
				suffix := "-" + strconv.Itoa(n)
				name = strings.TrimRight(base[:min(len(base), maxName-len(suffix))], ".-") + suffix
			}
			taken[key(c, name)] = true
			c.object.SetName(name)
		}
	}
}
