package compile

import (
	"strconv"
	"strings"
)

// AtLeast tells whether a broker's version, such as 4.0.5, is not older than
// major.minor. One that nobody knows, or that cannot be read, counts as the
// newest.
func AtLeast(version string, major, minor int) bool {
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	foundMajor, err := strconv.Atoi(first)
	if err != nil {
		return true
	}
	if foundMajor != major {
		return foundMajor > major
	}
	foundMinor, err := strconv.Atoi(strings.TrimRightFunc(second, func(r rune) bool { return r < '0' || r > '9' }))
	return err != nil || foundMinor >= minor
}
