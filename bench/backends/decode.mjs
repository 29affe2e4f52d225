// A backend that decodes each image and finds nothing.
export function createBackend() {
  return {
    async detect(image) {
      await image.pixels()
      return {}
    },
  }
}
