// Draws the pictures of the parity fixture: `node scripts/parity/draw.mjs train FOLDER` labelled ones to train on,
// `node scripts/parity/draw.mjs compare FOLDER` those whose detections are compared. Run `npm run build` first.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { categoriesOf } from '../../dist/src/mock/loop/generator/categories.js'
import { IMAGE_HEIGHT, IMAGE_WIDTH, planScene } from '../../dist/src/mock/loop/generator/plan.js'
import { renderScene } from '../../dist/src/mock/loop/generator/render.js'

const SEED = 11
const CONFIG = { project_name: 'parity', box_categories: 4, box_annotations: 9 }
const INPUT = 192
const categories = categoriesOf(CONFIG, SEED)

const [kind, folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('Usage: node scripts/parity/draw.mjs train|compare FOLDER')
await (kind === 'train' ? drawTraining() : drawCompared())

async function drawTraining() {
  for (const [set, count] of [
    ['train', 420],
    ['val', 40],
  ]) {
    for (const part of ['images', 'labels']) await mkdir(join(folder, part, set), { recursive: true })
    for (let number = 0; number < count; number++) {
      const { scene, jpeg } = await draw(`${SEED}/parity/${set}/${number}`)
      await writeFile(join(folder, 'images', set, `${number}.jpg`), jpeg)
      await writeFile(join(folder, 'labels', set, `${number}.txt`), labels(scene.truth.boxes))
    }
  }
  const names = categories.map(({ name }, index) => `  ${index}: ${name}\n`).join('')
  const dataset = `path: ${folder}\ntrain: images/train\nval: images/val\nnames:\n${names}`
  await writeFile(join(folder, 'shapes.yaml'), dataset)
}

/** The name of a picture begins with its set. */
async function drawCompared() {
  await mkdir(folder, { recursive: true })
  const picture = async (number) => sharp((await draw(`${SEED}/parity/compared/${number}`)).jpeg)
  const save = async (name, image) => await writeFile(join(folder, name), await image.toBuffer())
  let number = 0
  for (; number < 40; number++) {
    await save(
      `scale-1-${number}.jpg`,
      (await picture(number)).resize(INPUT, INPUT, { fit: 'cover' }).jpeg({ quality: 90 }),
    )
  }
  for (; number < 76; number++) await save(`photo-${number}.jpg`, (await picture(number)).jpeg({ quality: 60 }))
  for (; number < 79; number++) {
    await save(
      `large-${number}.jpg`,
      (await picture(number)).resize(2560, 1920, { kernel: 'cubic' }).jpeg({ quality: 50 }),
    )
  }
  const odd = [
    [900, 200],
    [150, 470],
    [385, 289],
    [383, 480],
    [97, 61],
    [193, 191],
    [384, 288],
    [640, 101],
  ]
  for (const [width, height] of odd) {
    const resized = (await picture(number)).resize(width, height, { fit: 'cover' })
    await save(`odd-${number}.jpg`, resized.jpeg({ quality: 75, chromaSubsampling: '4:4:4' }))
    number += 1
  }
  for (let orientation = 1; orientation <= 8; orientation++, number++) {
    await save(`turned-${number}.jpg`, (await picture(number)).withMetadata({ orientation }).jpeg({ quality: 60 }))
  }
  const other = { cmyk: (image) => image.toColourspace('cmyk').jpeg({ quality: 60 }), webp: (image) => image.webp() }
  await save('other-cmyk.jpg', other.cmyk(await picture(number++)))
  await save('other-lossy.webp', other.webp(await picture(number++)))
  await save('other-alpha.png', (await picture(number++)).resize(320, 240).ensureAlpha(0.5).png())
}

async function draw(key) {
  const scene = planScene(CONFIG, categories, key)
  return { scene, jpeg: await renderScene(scene, key) }
}

function labels(boxes) {
  const lines = boxes.map(({ category_id, x, y, width, height }) => {
    const index = categories.findIndex(({ id }) => id === category_id)
    const middle = [(x + width / 2) / IMAGE_WIDTH, (y + height / 2) / IMAGE_HEIGHT]
    return [index, ...middle, width / IMAGE_WIDTH, height / IMAGE_HEIGHT].join(' ')
  })
  return `${lines.join('\n')}\n`
}
