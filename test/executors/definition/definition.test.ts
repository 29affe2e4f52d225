import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { loadTrainerDefinition, parseTrainerDefinition } from '../../../src/executors/definition/definition.js'
import { projectRoot } from '../../helpers/project-root.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { trainers } from '../support.js'

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

    expect(definition).to.include({ name: 'a', python: 'python3', progress: 'events', best: 'events', gpus: 'auto' })
    expect(definition).to.include({ folder: folder.path, file })
    expect(definition.convert).to.deep.equal([])
  })

  describe('with a script that lies beside it', () => {
    const load = async (scratch: string, more = '') => {
      for (const name of ['train.py', 'run.sh', 'x.js']) await writeFile(join(folder.path, name), '')
      const file = join(folder.path, 'trainer.yaml')
      await writeFile(file, `${GOOD.replace('[python, t.py]', scratch)}${more}`)
      return await loadTrainerDefinition(file)
    }
    const refused: readonly (readonly [string, string])[] = [
      ['[python3, train.py]', '"{trainer}/train.py", or begin the command with "python"'],
      ['[/usr/bin/python3.11, -u, ./train.py, --fast]', '"{trainer}/train.py", or begin the command with "python"'],
      ['[torchrun, --nproc-per-node, "2", train.py]', 'write "{trainer}/train.py". ['],
      ['[python, -m, torch.distributed.run, train.py]', 'write "{trainer}/train.py". ['],
      ['[bash, run.sh]', 'write "{trainer}/run.sh". ['],
      ['[node, [x.js, --x]]', 'write "{trainer}/x.js". ['],
    ]
    for (const [scratch, wayOut] of refused) {
      it(`is refused when ${scratch} looks for it in the workspace`, async () => {
        const error = await rejection(load(scratch))

        expect(error).to.include({ code: 'LF_BAD_TRAINER_FILE' })
        expect(error.message).to.include('trainer.yaml: "train.scratch" names "').and.to.include(wayOut)
      })
    }

    it('is refused for every command', async () => {
      const error = await rejection(load('[python, train.py]', 'convert: [{format: f, command: [bash, run.sh]}]\n'))

      expect(error.message).to.include('"convert[0].command" names "run.sh"')
    })

    for (const scratch of [
      '[python, train.py]',
      '[python, -u, train.py, x.js]',
      '[python3, "{trainer}/train.py"]',
      '[python3, "{trainer}/train.py", x.js]',
      '[./run.sh, train.py]',
      '[python3, elsewhere.py]',
      '[python3, -c, print]',
    ]) {
      it(`is accepted with ${scratch}`, async () => {
        expect((await load(scratch)).folder).to.equal(folder.path)
      })
    }
  })

  it('of the fixture trainers is accepted', async () => {
    expect((await loadTrainerDefinition(join(trainers, 'quick/trainer.yaml'))).name).to.equal('quick')
    expect((await loadTrainerDefinition(join(trainers, 'unchanged/trainer.yaml'))).name).to.equal('unchanged')
  })

  it('of each example is accepted', async () => {
    for (const name of ['shapes-trainer', 'yolov5', 'ultralytics']) {
      const file = join(projectRoot(), 'examples', name, 'trainer.yaml')
      expect((await loadTrainerDefinition(file)).folder).to.equal(join(projectRoot(), 'examples', name))
    }
  })

  for (const [what, more, expected] of [
    [
      'a file that "best" does not set aside',
      'best: {files: out/best.pth}',
      'names "model.pt", but "best" sets aside only "model.pth"',
    ],
    [
      'a file that "best" sets aside under another name',
      'best: {files: out/best.pt, as: net.pt}',
      'sets aside only "net.pt"',
    ],
    [
      'a file of a folder that "best.with" does not list',
      'best: {files: out/x.bin, with: [a/b.yaml]}',
      'only "model.bin", "b.yaml"',
    ],
    [
      'two files of "best" under one name',
      'best: {files: out/best.pt, with: [a/hyp.yaml, b/hyp.yaml]}',
      'aside as "hyp.yaml"',
    ],
    [
      'a model and a file beside it under one name',
      'best: {files: out/best.pt, with: [a/model.pt]}',
      'aside as "model.pt"',
    ],
  ] as const) {
    it(`refuses to upload ${what}`, () => {
      expect(complaint(`${GOOD}${more}\n`)).to.contain(expected)
    })
  }

  it('refuses to upload one file twice, or one whose name cannot be sent', () => {
    expect(complaint(GOOD.replace('[model.pt]', '[model.pt, model.pt]'))).to.contain('must not name a file twice')
    expect(complaint(GOOD.replace('[model.pt]', "['mo\"del.pt']"))).to.contain('must have no quotes')
  })

  it('takes what cannot be known to be wrong: files of a conversion, of events, and beside an ONNX model', () => {
    const convert = 'convert: [{format: f, command: [python, c.py]}]'
    for (const more of ['best: events', `best: {files: out/best.pth}\n${convert}`, 'best: {files: out/best.onnx}']) {
      expect(parseTrainerDefinition(`${GOOD}${more}\n`, '/t.yaml').upload).to.deep.equal({ f: ['model.pt'] })
    }
    expect(parseTrainerDefinition(`${GOOD}best: {files: 'out/best.*'}\n`, '/t.yaml').name).to.equal('a')
  })

  it('that is missing is named in the error', async () => {
    const error = await rejection(loadTrainerDefinition('/nowhere/trainer.yaml'))

    expect(error.code).to.equal('LF_BAD_TRAINER_FILE')
    expect(error.message).to.contain('/nowhere/trainer.yaml').and.contain('ENOENT')
  })

  it('refuses an unknown key and proposes the known one', () => {
    expect(complaint(`${GOOD}progres: events\n`)).to.contain('unknown key "progres"; did you mean "progress"?')
    expect(complaint(`${GOOD}best: {files: a.pt, metrcs: b}\n`)).to.contain(
      'unknown key "metrcs" in "best"; did you mean "metrics"? Known keys: files, metrics, as, with, publish.',
    )
  })

  it('names a misspelt key before the one that is missing for it, and no more than three mistakes', () => {
    const misspelt = complaint(GOOD.replace('upload:', 'uplaod:'))
    const many = complaint('uplaod: 1\n')

    expect(misspelt).to.match(/^trainer.yaml: unknown key "uplaod"; did you mean "upload"\?.* "upload" is missing/)
    expect(many)
      .to.contain('"uplaod"')
      .and.contain('"name" is missing')
      .and.match(/\(and \d more\)/)
    expect(many.match(/is missing/g)).to.have.lengthOf(2)
  })

  it('names key, value and way out', () => {
    expect(complaint(GOOD.replace('raw', 'voc'))).to.contain(
      '"dataset" is "voc", but it must be raw, yolo, yolo_classification, coco.',
    )
    expect(complaint(`${GOOD}gpus: one\n`)).to.contain('"gpus" is "one", but it must be a number from 0 to 64, or auto')
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

  it('puts a list inside a command in its place, so that commands can share arguments', () => {
    const train = 'train: {scratch: [a, &all [b, {if: gpus, then: [c]}], d], resume: [e, *all]}'

    const { train: parsed } = parseTrainerDefinition(GOOD.replace(/train: .*/, train), '/somewhere/trainer.yaml')

    // biome-ignore lint/suspicious/noThenProperty: the key of the trainer file, never awaited
    const group = { if: 'gpus', then: ['c'], else: [] }
    expect(parsed.scratch).to.deep.equal(['a', 'b', group, 'd'])
    expect(parsed.resume).to.deep.equal(['e', 'b', group])
  })

  it('refuses a hyperparameter that is used but not declared, or declared wrongly', () => {
    expect(complaint(GOOD.replace('t.py', "'{hyperparameters.epochs}'"))).to.contain(
      '"train.scratch" uses the hyperparameter "epochs", which "hyperparameters" does not list; add it there',
    )
    expect(complaint(GOOD.replace('t.py', 't.py, {if: fast, then: [--fast]}'))).to.contain('hyperparameter "fast"')
    expect(complaint(`${GOOD}hyperparameters: {epochs: {type: whole}}\n`)).to.contain(
      '"hyperparameters.epochs.type" is "whole", but it must be int, number, bool, text or categories.',
    )
    expect(complaint(`${GOOD}hyperparameters: {epochs: {type: int, default: many}}\n`)).to.contain(
      '"hyperparameters.epochs.default" is "many", but it must be a whole number.',
    )
    expect(complaint(`${GOOD}hyperparameters: {gpus: {type: int}}\n`)).to.contain('must not be one of resolution')
  })

  it('refuses to let an order choose the program', () => {
    expect(complaint(GOOD.replace('[python, t.py]', "['./{model_variant}']"))).to.contain('must not choose the program')
  })

  it('keeps its own files and folders in the workspace', () => {
    for (const file of ['training.json', 'events.jsonl', './dataset/x.yaml', 'best/x.yaml', '../hyp.yaml']) {
      const text = `${GOOD}hyperparameter_file: {defaults: hyp.yaml, file: '${file}'}\n`
      expect(complaint(text), file).to.contain('"hyperparameter_file.file" is')
    }
    expect(complaint(`${GOOD}best: {files: 'w/*.pt', publish: w/latest.pt}\n`)).to.contain('must be in another folder')
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
