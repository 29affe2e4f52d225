// Draws labelled pictures of shapes for training the model of the parity fixture: node scripts/parity/draw.mjs FOLDER.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { categoriesOf } from '../../dist/src/mock/loop/generator/categories.js'
import { IMAGE_HEIGHT, IMAGE_WIDTH, planScene } from '../../dist/src/mock/loop/generator/plan.js'
import { renderScene } from '../../dist/src/mock/loop/generator/render.js'

const SEED = 11
const CONFIG = { project_name: 'parity', box_categories: 4, box_annotations: 9 }
const folder = process.argv[2]
if (folder === undefined) throw new Error('Usage: node scripts/parity/draw.mjs FOLDER')

const categories = categoriesOf(CONFIG, SEED)
for (const [set, count] of [
  ['train', 420],
  ['val', 40],
]) {
  for (const kind of ['images', 'labels']) await mkdir(join(folder, kind, set), { recursive: true })
  for (let number = 0; number < count; number++) {
    const key = `${SEED}/parity/${set}/${number}`
    const scene = planScene(CONFIG, categories, key)
    await writeFile(join(folder, 'images', set, `${number}.jpg`), await renderScene(scene, key))
    await writeFile(join(folder, 'labels', set, `${number}.txt`), labels(scene.truth.boxes))
  }
}
const names = categories.map(({ name }, index) => `  ${index}: ${name}\n`).join('')
await writeFile(join(folder, 'shapes.yaml'), `path: ${folder}\ntrain: images/train\nval: images/val\nnames:\n${names}`)

function labels(boxes) {
  const lines = boxes.map(({ category_id, x, y, width, height }) => {
    const index = categories.findIndex(({ id }) => id === category_id)
    const middle = [(x + width / 2) / IMAGE_WIDTH, (y + height / 2) / IMAGE_HEIGHT]
    return [index, ...middle, width / IMAGE_WIDTH, height / IMAGE_HEIGHT].join(' ')
  })
  return `${lines.join('\n')}\n`
}
