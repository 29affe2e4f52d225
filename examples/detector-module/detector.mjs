// A detector as a JavaScript module: finds the red part of an image. It is loaded once in every thread of the pool.

const STEP = 2 // every second row and column is enough

/** Called once per thread, before the first image. `model.folder` is where a real detector finds its weights. */
export function createBackend(model) {
  const [category] = model.categories
  if (category === undefined) throw new Error('the model has no category')
  return {
    async detect(image) {
      const found = findRed(await image.pixels())
      return { box_detections: found === undefined ? [] : [{ category_id: category.id, confidence: 0.9, ...found }] }
    },
  }
}

function findRed({ pixels, width, height, channels }) {
  let [left, top, right, bottom] = [width, height, 0, 0]
  for (let y = 0; y < height; y += STEP) {
    for (let x = 0; x < width; x += STEP) {
      const at = (y * width + x) * channels
      if (pixels[at] < 160 || pixels[at + 1] > 90) continue
      left = Math.min(left, x)
      right = Math.max(right, x + STEP)
      top = Math.min(top, y)
      bottom = Math.max(bottom, y + STEP)
    }
  }
  return right > left ? { x: left, y: top, width: right - left, height: bottom - top } : undefined
}
