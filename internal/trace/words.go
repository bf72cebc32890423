package trace

import "strings"

// MatchTopic tells whether the pattern of a topic exchange takes a routing key.
func MatchTopic(pattern, key string) bool { return matchWords(words(pattern), words(key)) }

// words splits a key at its dots. The empty key has no words; `a.` has two, the
// second of them empty.
func words(key string) []string {
	if key == "" {
		return nil
	}
	return strings.Split(key, ".")
}

// matchWords tells whether the pattern of a topic exchange takes a key: * stands
// for one word, which may be empty, and # for any number of words, none included.
func matchWords(pattern, key []string) bool {
	// taken[i] tells whether the pattern so far takes the first i words.
	taken := make([]bool, len(key)+1)
	taken[0] = true
	for _, word := range pattern {
		if word == "#" {
			for i := 1; i <= len(key); i++ {
				taken[i] = taken[i] || taken[i-1]
			}
			continue
		}
		for i := len(key); i > 0; i-- {
			taken[i] = taken[i-1] && (word == "*" || word == key[i-1])
		}
		taken[0] = false
	}
	return taken[len(key)]
}
