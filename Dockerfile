# The controller, as a static binary on an image with nothing else in it.
#   docker build -t warrener-controller .
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api/ api/
COPY cmd/ cmd/
COPY controllers/ controllers/
COPY internal/ internal/
ARG TARGETOS TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags '-s -w' -o /warrener-controller ./cmd/warrener-controller

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /warrener-controller /warrener-controller
USER 65532:65532
ENTRYPOINT ["/warrener-controller"]
