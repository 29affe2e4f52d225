import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { loadTrainerDefinition, parseTrainerDefinition } from '../../src/executors/definition.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { trainers } from './support.js'

const GOOD = `name: a
format: f
dataset: raw
train: {scratch: [python, t.py]}
upload: {f: [model.pt]}
`

/** The sentence that a person reads when the file has this text. */
function complaint(text: string): string {
  try {
    parseTrainerDefinition(text, '/somewhere/trainer.yaml')
  } catch (error) {
    if (error instanceof Error) return error.message
  }
  throw new Error('The file was accepted.')
}

describe('trainer file', () => {
  const folder = useTemporaryFolder()

  it('is read with defaults, and knows the folder it lies in', async () => {
    const file = join(folder.path, 'trainer.yaml')
    await writeFile(file, GOOD)

    const definition = await loadTrainerDefinition(file)

    expect(definition).to.include({ name: 'a', python: 'python3', progress: 'events', best: 'events', gpus: 1 })
    expect(definition).to.include({ folder: folder.path, file })
    expect(definition.convert).to.deep.equal([])
  })

  it('of the fixture trainers is accepted', async () => {
    expect((await loadTrainerDefinition(join(trainers, 'quick/trainer.yaml'))).name).to.equal('quick')
    expect((await loadTrainerDefinition(join(trainers, 'unchanged/trainer.yaml'))).name).to.equal('unchanged')
  })

  it('that is missing is named in the error', async () => {
    const error = await rejection(loadTrainerDefinition('/nowhere/trainer.yaml'))

    expect(error.code).to.equal('LF_BAD_TRAINER_FILE')
    expect(error.message).to.contain('/nowhere/trainer.yaml').and.contain('ENOENT')
  })

  it('refuses an unknown key and proposes the known one', () => {
    expect(complaint(`${GOOD}progres: events\n`)).to.contain('unknown key "progres"; did you mean "progress"?')
    expect(complaint(`${GOOD}best: {files: a.pt, metrcs: b}\n`)).to.contain(
      'unknown key "metrcs" in "best"; did you mean "metrics"? Known keys: files, metrics, as, with.',
    )
  })

  it('names key, value and way out', () => {
    expect(complaint(GOOD.replace('raw', 'coco'))).to.contain('"dataset" is "coco", but it must be raw or yolo.')
    expect(complaint(`${GOOD}gpus: one\n`)).to.contain('"gpus" is "one", but it must be a number.')
    expect(complaint(GOOD.replace('[python, t.py]', 'python t.py'))).to.contain(
      '"train.scratch" is "python t.py", but it must be a list: the program, then its arguments.',
    )
    expect(complaint(GOOD.replace('name: a\n', ''))).to.contain('"name" is missing; it must be a text.')
    expect(complaint(`${GOOD}progress: {log: '(x'}\n`)).to.contain('"progress.log" is "(x", but it is not a regular')
    expect(complaint(`${GOOD}detect: {backend: onnx}\n`)).to.contain(
      '"detect.format" is "onnx", but "upload" lists only "f"; add the files of "onnx" there.',
    )
  })

  it('refuses a placeholder that is unknown, or unknown to this command', () => {
    expect(complaint(GOOD.replace('t.py', "'{imges}'"))).to.contain('unknown placeholder {imges}')
    expect(complaint(GOOD.replace('t.py', "'{images}'"))).to.contain('which this command has not')
  })

  it('refuses paths that leave the workspace', () => {
    expect(complaint(GOOD.replace('model.pt', '../model.pt'))).to.contain('must be a plain file name')
    expect(complaint(GOOD.replace('model.pt', 'model.json'))).to.contain('must not be model.json')
    expect(complaint(`${GOOD}best: {files: /etc/*.pt}\n`)).to.contain('must be a path inside the workspace')
    expect(complaint(`${GOOD}progress: {csv: a/../../b.csv}\n`)).to.contain('must be a path inside the workspace')
  })

  it('that is no YAML names the line', () => {
    expect(complaint(`${GOOD}name: b\n`))
      .to.contain('line 6 ("name: b")')
      .and.contain('unique')
    expect(complaint('')).to.contain('it must be a map of keys')
    expect(complaint('- a\n')).to.contain('it must be a map of keys')
  })

  it('that explodes by aliases is refused', () => {
    const levels = Array.from({ length: 12 }, (_, index) => {
      const next = Array.from({ length: 9 }, () => `*a${index}`).join(', ')
      return `a${index + 1}: &a${index + 1} [${next}]`
    })

    expect(complaint(`a0: &a0 [x]\n${levels.join('\n')}\n`)).to.contain('trainer.yaml')
  })
})
