import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { checkpointPaths } from '../../../src/workers/checkpoints/contents.js'
import { takeSnapshot } from '../../../src/workers/checkpoints/snapshot.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'

const never = new AbortController().signal
const rulesFor = (name: string) =>
  ({ train: { scratch: ['python', 'train.py'], resume_when: `checkpoints/${name}` } }) as const

describe('what is packed', () => {
  const folder = useTemporaryFolder()
  const path = (name: string) => join(folder.path, 'workspace', name)
  const copied = (name: string) => readFile(join(folder.path, 'copy', name), 'utf8')
  const snapshot = (change: object = {}) =>
    takeSnapshot({
      workspace: join(folder.path, 'workspace'),
      rules: rulesFor('last.pt'),
      target: join(folder.path, 'copy'),
      rest: { wholeMs: 50, otherMs: 50, over: never },
      giveUpAfterMs: 300,
      isFinished: false,
      signal: new AbortController().signal,
      ...change,
    })

  beforeEach(async () => {
    await mkdir(path('checkpoints'), { recursive: true })
  })

  it('is the folder of resume_when, or the file alone when it lies at the top, or what the trainer file lists', () => {
    const train = (resume_when?: string) => ({ train: { scratch: ['x'] as [string], resume_when } })

    expect(checkpointPaths(train('result/weights/last.pt'))).to.deep.equal(['result/weights'])
    expect(checkpointPaths(train('./last.pt'))).to.deep.equal(['last.pt'])
    expect(checkpointPaths(train())).to.deep.equal([])
    expect(checkpointPaths({ ...train('a/last.pt'), checkpoint: ['a/last.pt', 'results.csv'] })).to.deep.equal([
      'a/last.pt',
      'results.csv',
    ])
  })

  it('holds a model that was reported and not dealt with yet', async () => {
    const line = JSON.stringify({
      event: 'model',
      epoch: 1,
      files: { f: ['weights/m.bin'] },
      confusion_matrix: {},
    })
    await mkdir(path('weights'))
    await writeFile(path('weights/m.bin'), 'weights')
    await writeFile(path('events.jsonl'), `${line}\n`)
    await writeFile(path('checkpoints/last.pt'), 'state')

    expect(await snapshot()).to.have.members(['checkpoints/last.pt', 'events.jsonl', 'weights/m.bin'])
    expect(await copied('weights/m.bin')).to.equal('weights')
  })

  it('is nothing before the first checkpoint, but the models once the program has ended', async () => {
    await mkdir(path('models/000001'), { recursive: true })
    await writeFile(path('models/000001/set.json'), '{}')

    expect(await snapshot()).to.equal(undefined)
    expect(await snapshot({ isFinished: true })).to.deep.equal(['models/000001/set.json'])
  })

  it('is taken soon when the content of every file says that it is whole', async () => {
    await writeFile(path('checkpoints/state.json'), '{"epoch": 3}')

    const files = await snapshot({
      rules: rulesFor('state.json'),
      rest: { wholeMs: 10, otherMs: 3_600_000, over: never },
    })

    expect(files).to.deep.equal(['checkpoints/state.json'])
  })

  it('need not rest any more when the program has ended', async () => {
    const over = new AbortController()
    await writeFile(path('checkpoints/last.pt'), 'nothing that says where it ends')
    const taking = snapshot({ rest: { wholeMs: 10, otherMs: 3_600_000, over: over.signal } })
    over.abort()

    expect(await taking).to.deep.equal(['checkpoints/last.pt'])
  })

  for (const [name, first, rest] of [
    ['last.pt', 'half of a pickle', 'the other half'],
    ['state.bin', 'half of it', 'the other half'],
    ['state.json', '{"epoch": 3', '}'],
  ] as const) {
    it(`has to rest for longer when nothing says whether ${name} is whole`, async () => {
      await writeFile(path(`checkpoints/${name}`), first)
      const over = new AbortController()
      const taking = snapshot({
        rules: rulesFor(name),
        rest: { wholeMs: 10, otherMs: 3_600_000, over: over.signal },
        giveUpAfterMs: 60_000,
      })
      await sleep(200) // in which the half would have been copied
      await writeFile(path(`checkpoints/${name}`), first + rest)
      over.abort()
      await taking

      expect(await copied(`checkpoints/${name}`)).to.equal(first + rest)
    })
  }

  it('is found also when new checkpoints are renamed into place every moment', async () => {
    const writing = new AbortController()
    const program = (async () => {
      for (let epoch = 0; !writing.signal.aborted; epoch += 1) {
        await writeFile(path('new.pt'), `state of epoch ${epoch}`)
        await rename(path('new.pt'), path('checkpoints/last.pt'))
        await sleep(50) // shorter than any rest
      }
    })()
    await until('a checkpoint is there', async () => (await readdir(path('checkpoints'))).length > 0)

    // As the packer does: when a new one came during each copy, it is tried again.
    const files = await until('one is copied between two renames', () =>
      snapshot({ rest: { wholeMs: 100, otherMs: 100, over: never } }),
    )
    writing.abort()
    await program

    expect(files).to.deep.equal(['checkpoints/last.pt'])
    expect(await copied('checkpoints/last.pt')).to.match(/^state of epoch \d+$/)
  })
})
