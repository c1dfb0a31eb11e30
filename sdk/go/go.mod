module github.com/lemon-session/lemon-session/sdk/go

go 1.27
