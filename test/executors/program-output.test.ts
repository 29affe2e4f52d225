import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { loadTrainerDefinition, type TrainerDefinition } from '../../src/executors/definition/definition.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { collect, makeDefinition, start, trainers } from './support.js'

const PATH = process.env.PATH
const ESC = '\u001b'

/** A trainer that prints these texts, with a pause between them, or each when the progress before it was read. */
function printing(texts: readonly string[], yaml: string, program = 'prints-bytes.py'): TrainerDefinition {
  const words = texts.map((text) => Buffer.from(text).toString('base64'))
  return makeDefinition(`train: {scratch: [python, ${program}, ${words.join(', ')}]}\n${yaml}`)
}

describe('the output of a training program', function () {
  this.timeout(30_000)
  const folder = useTemporaryFolder()
  const load = (name: string) => loadTrainerDefinition(join(trainers, 'talks', `${name}.yaml`))

  async function progressOf(definition: TrainerDefinition): Promise<unknown[]> {
    const training = await start({ definition, workspace: folder.path, env: { PATH } })
    const shares: unknown[] = []
    for await (const event of training.events) {
      if (event.event !== 'progress') continue
      shares.push(event.progress)
      await writeFile(join(folder.path, `read-${shares.length}`), '')
    }
    return shares
  }

  it('is followed although its progress line is a coloured bar', async () => {
    const shares = await progressOf(await load('colours'))

    expect(shares).to.deep.equal([...new Set(shares)].toSorted()) // one that nobody has read yet is replaced by the next
    expect(shares.at(-1)).to.equal(1)
  })

  for (const [what, bar] of Object.entries({
    'a coloured bar': (epoch: number) => `\r${ESC}[K${ESC}[34m${ESC}[1m      ${epoch}/4      2.53G${ESC}[0m\n`,
    'a bar that was drawn twice in its line': (epoch: number) => `\r  ...\r      ${epoch}/4      2.53G: 100%|####|\n`,
    'a bar below another one': (epoch: number) => `\n${ESC}[32m      ${epoch}/4      ${ESC}[0m2.53G\r${ESC}[A`,
    'lines of Windows in 256 colours': (epoch: number) => `${ESC}[38;5;208m   ${epoch}/4 ${ESC}[m\r\n`,
  })) {
    it(`is followed through every epoch of ${what}`, async () => {
      const yaml = `progress: {log: '^\\s+(?<epoch>\\d+)/(?<epochs>\\d+)\\s'}`
      const definition = printing([1, 2, 3, 4].map(bar), yaml, 'prints-when-read.py')

      expect(await progressOf(definition)).to.deep.equal([0.25, 0.5, 0.75, 1])
    })
  }

  for (const [what, line] of Object.entries({
    'colours within its numbers': `${ESC}[1mepoch 1${ESC}[0m3${ESC}[2m/${ESC}[0m26`,
    'a link in it': `${ESC}]8;;https://example.org/${ESC}\\epoch 13/26${ESC}]8;;${ESC}\\`,
    'a title and a hidden cursor before it': `${ESC}]0;title\u0007${ESC}[?25lepoch 13/26`,
  })) {
    it(`is followed with ${what}`, async () => {
      const definition = printing([line], `progress: {log: '^epoch (?<epoch>\\d+)/(?<epochs>\\d+)$'}`)

      expect(await progressOf(definition)).to.deep.equal([0.5])
    })
  }

  it('has known causes found in coloured lines', async () => {
    const errors = `errors: [{log: 'CUDA out of memory', cause: the card is full}]`
    const definition = printing([`CUDA ${ESC}[31mout of${ESC}[0m memory\n`], errors)
    const training = await start({ definition, workspace: folder.path, env: { PATH } })

    expect(await collect(training.events)).to.deep.equal([{ event: 'error', message: 'the card is full' }])
    expect(training.lastLines()).to.deep.equal(['CUDA out of memory'])
  })

  it('lies on the host as it was printed', async () => {
    const training = await start({ definition: await load('talks'), workspace: folder.path, env: { PATH } })
    await collect(training.events)

    const log = await readFile(join(folder.path, 'last_training.log'))
    expect(log.includes(Buffer.from([0xff, 0x00]))).to.equal(true)
    expect(log.includes('\u001b]0;title\u0007')).to.equal(true)
  })
})
