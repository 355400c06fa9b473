package transport

import (
	"html"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLayers is how often a text is decoded: programs that repeat a text quote and escape
// it, and others what these have said.
const maxLayers = 4

// reading is one way to read a text: as it stands there, or decoded.
type reading struct {
	text string
	// at has the place of each byte in the text that was read, and the end of that.
	at []int
}

// readings returns a text as it stands there, and in every way in which it can be decoded.
func readings(text string) []reading {
	first := reading{text, make([]int, len(text)+1)}
	for i := range first.at {
		first.at[i] = i
	}
	all, seen := []reading{first}, map[string]bool{text: true}
	for from, layer := 0, 0; layer < maxLayers; layer++ {
		last := all[from:]
		from = len(all)
		for _, r := range last {
			for _, escape := range []escape{percent, quoted, entity} {
				if decoded := r.decode(escape); !seen[decoded.text] {
					seen[decoded.text] = true
					all = append(all, decoded)
				}
			}
		}
	}
	return all
}

// decode takes off one layer.
func (r reading) decode(escape escape) reading {
	var out []byte
	var at []int
	for i := 0; i < len(r.text); {
		meant, size := escape(r.text[i:])
		for j := range len(meant) {
			out, at = append(out, meant[j]), append(at, r.at[i])
		}
		i += size
	}
	return reading{string(out), append(at, r.at[len(r.text)])}
}

// fold makes one of what differs in case, or in the alphabet of Base64 or of a query, and
// leaves everything in its place.
func fold(text string) string {
	folded := []byte(text)
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch lower := unicode.ToLower(r); {
		case r == '-' || r == ' ':
			folded[i] = '+'
		case r == '_':
			folded[i] = '/'
		case lower != r && utf8.RuneLen(lower) == size:
			utf8.EncodeRune(folded[i:], lower)
		}
		i += size
	}
	return string(folded)
}

// escape returns what text begins with, and how long that is as it is written there.
type escape func(text string) (meant string, size int)

// percent is that of URLs (RFC 3986).
func percent(text string) (meant string, size int) {
	if one := hex(text, 1, 2); text[0] == '%' && one != "" {
		return one, 3
	}
	return text[:1], 1
}

// quoted is that of JSON and Go.
func quoted(text string) (meant string, size int) {
	if text[0] != '\\' || len(text) == 1 {
		return text[:1], 1
	}
	digits := map[byte]int{'x': 2, 'u': 4}[text[1]]
	if one := hex(text, 2, digits); digits > 0 && one != "" {
		return one, 2 + digits
	}
	return text[1:2], 2
}

// entity is that of HTML.
func entity(text string) (meant string, size int) {
	end := strings.IndexByte(text[:min(len(text), 10)], ';') + 1
	if one := html.UnescapeString(text[:end]); text[0] == '&' && one != text[:end] {
		return one, end
	}
	return text[:1], 1
}

// hex returns the byte or character whose number stands in text, "" if none does.
func hex(text string, from, digits int) string {
	if len(text) < from+digits {
		return ""
	}
	n, err := strconv.ParseUint(text[from:from+digits], 16, 32)
	switch {
	case err != nil:
		return ""
	case digits == 2:
		return string([]byte{byte(n)})
	}
	return string(rune(n))
}
