import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { execa } from 'execa'
import fc from 'fast-check'
import { exportDataset } from '../../src/executors/dataset/export-dataset.js'
import { stringifyForPython } from '../../src/executors/dataset/yaml-for-python.js'
import { imageDataSchema } from '../../src/loop/protocol/index.js'
import { PYTHON_BYTECODE } from '../helpers/python-environment.js'
import { preparedPython } from '../helpers/python-environments.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { category } from './support.js'

const NAMES = {
  'truth values': ['on', 'off', 'yes', 'no', 'y', 'n', 'true', 'False', 'ON', 'Yes', '~', 'null', 'NULL', ''],
  numbers: ['12:30', '1:2:3', '1_000', '0o17', '017', '0x1f', '0b1', '1e3', '1.5', '.inf', '-.INF', '.nan', '+1', '-0'],
  'dates and marks': ['2024-01-01', '2024-01-01 10:00:00', '=', '<<', '!!int 3', '&a', '*a', '|', '>', '%', '@', '`', '?'],
  'punctuation and blanks': [' a', 'a ', '\ta', '#', 'a #b', 'a: b', ': ', '- a', '"', "'", '\\', '{a}', '[b]', 'a,b'],
  'line ends and controls': ['a\nb', '\n', `${'long '.repeat(30)}\nend`, 'a\r\nb', '\u0000', '\u0007', '\u007f', '\u0085'],
  'other scripts': ['Größe', '斜', '😀', '👩‍🔧 worker', '\u00a0', '\u2028', '\u2029', '\ufeff', '\ufffe', '\uffff', '\u200b'],
} // biome-ignore format: names in rows

describe('category names in dataset.yaml', function () {
  this.timeout(120_000)
  const folder = useTemporaryFolder()
  let python: string
  before(async () => {
    python = await preparedPython('yaml')
  })

  /** What PyYAML makes of texts, all in one start of Python. */
  async function readByPython(texts: readonly string[]): Promise<unknown[]> {
    const script = 'import json, sys, yaml; print(json.dumps([yaml.safe_load(text) for text in json.load(sys.stdin)]))'
    const { stdout } = await execa(python, ['-c', script], { input: JSON.stringify(texts), env: PYTHON_BYTECODE })
    return JSON.parse(stdout)
  }

  async function namesByPython(names: readonly string[]): Promise<unknown> {
    const image = (id: string, set: string) => imageDataSchema.parse({ id, set, width: 9, height: 9 })
    await mkdir(join(folder.path, 'cache'), { recursive: true })
    await writeFile(join(folder.path, 'cache/image'), 'pixels')
    await exportDataset('yolo', {
      folder: folder.path,
      images: [image('a', 'train'), image('b', 'test')],
      imagePath: () => join(folder.path, 'cache/image'),
      categories: names.map((name, index) => category(`c${index}`, name)),
      signal: new AbortController().signal,
    })
    const script = 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))'
    const { stdout } = await execa(python, ['-c', script, join(folder.path, 'dataset/dataset.yaml')], {
      env: PYTHON_BYTECODE,
    })
    return JSON.parse(stdout)
  }

  for (const [kind, names] of Object.entries(NAMES)) {
    it(`that look like ${kind} are the same texts for PyYAML`, async () => {
      expect(await namesByPython(names)).to.deep.include({ names, nc: names.length })
    })
  }

  it('of any characters are the same texts for PyYAML', async () => {
    const lists = fc.sample(fc.array(fc.string({ unit: 'binary' }), { maxLength: 5 }), 150)

    const read = await readByPython(lists.map((names) => stringifyForPython({ nc: names.length, names })))

    expect(read).to.deep.equal(lists.map((names) => ({ nc: names.length, names })))
  })
})
