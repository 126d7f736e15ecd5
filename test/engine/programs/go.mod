module slipway.dev/slipway/test/engine/programs

go 1.26.0
