module example.com/lemon-page

go 1.27

require github.com/lemon-session/lemon-session/sdk/go v0.1.0

replace github.com/lemon-session/lemon-session/sdk/go => ./lemon-session
