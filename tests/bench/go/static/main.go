// Command static answers every review with the same bytes but for the uid: what any webhook at all costs.
//
// Its template is a whole response, as JSON, with the uid UID.
package main

import (
	"bytes"
	"errors"

	"reference/serving"
)

func main() {
	serving.Run(func(content []byte) (serving.Review, error) {
		before, after, found := bytes.Cut(content, []byte(`"uid":"UID"`))
		if !found {
			return nil, errors.New(`the template has no "uid":"UID"`)
		}
		return func(body []byte) (serving.Answer, error) {
			_, rest, _ := bytes.Cut(body, []byte(`"uid":"`))
			uid, _, found := bytes.Cut(rest, []byte(`"`))
			if !found {
				return serving.Answer{}, errors.New("no uid")
			}
			answer := bytes.Join([][]byte{before, []byte(`"uid":"`), uid, []byte(`"`), after}, nil)
			return serving.Answer{Body: answer, UID: string(uid)}, nil
		}, nil
	})
}
