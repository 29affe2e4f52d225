import { appendFile, mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import fc from 'fast-check'
import { silentLogger } from '../../../../src/base/logger/logger.js'
import type { TrainerEvent } from '../../../../src/executors/contract/events.js'
import { openResultsCsv } from '../../../../src/executors/training/adapters/results-csv.js'
import type { EventSource } from '../../../../src/executors/training/event-source.js'
import { useTemporaryFolder } from '../../../helpers/temporary-folder.js'
import { until } from '../../../helpers/until.js'

type Epochs = Record<number, Record<string, number>>

describe('a results table', () => {
  const folder = useTemporaryFolder()
  const table = () => join(folder.path, 'results.csv')
  let events: TrainerEvent[] = []
  beforeEach(() => {
    events = []
  })

  async function open(more: { epochs?: number; firstEpoch?: number } = {}): Promise<EventSource> {
    const options = { workspace: folder.path, file: 'results.csv', everyMs: 5, ...more }
    return openResultsCsv(options, { push: (event) => events.push(event), log: silentLogger() })
  }

  /** The curves after these texts stood in the file one after the other. */
  async function curves(...texts: readonly string[]): Promise<Epochs> {
    const source = await open()
    for (const text of texts) {
      await writeFile(table(), text)
      await source.drain({ endedWell: false, endedByUs: false })
    }
    return told()
  }

  function metrics() {
    return events.filter((event) => event.event === 'metrics')
  }

  function told(): Epochs {
    return Object.fromEntries(metrics().map(({ epoch, values }) => [epoch, values]))
  }

  function progress(): (number | null | undefined)[] {
    return events.filter((event) => event.event === 'progress').map((event) => event.progress)
  }

  const both = { 0: { loss: 0.5, val: 0.7 }, 1: { loss: 0.25, val: 0.6 } }
  const SHAPES: Record<string, string> = {
    'as pandas writes it': ',epoch,loss,val\n0,0,0.5,0.7\n1,1,0.25,0.6\n',
    'padded with blanks, as YOLOv5': '               epoch,      loss,   val\n       0,   0.5,  0.7\n       1,   0.25, 0.6\n',
    'with a byte order mark and CRLF': '\ufeffepoch,loss,val\r\n0,0.5,0.7\r\n1,0.25,0.6\r\n',
    'with semicolons and decimal commas': 'epoch;loss;val\n0;0,5;0,7\n1;2,5e-1;0,6\n',
    'with tabs': 'epoch\tloss\tval\n0\t0.5\t0.7\n1\t0.25\t0.6\n',
    'with bars': '|epoch|loss|val|\n|0|0.5|0.7|\n|1|0.25|0.6|\n',
    'with blanks, as NumPy': '# epoch loss val\n0.0e+00 5.0e-01 7.0e-01\n1.0e+00 2.5e-01 6.0e-01\n',
    'with quotes': '"epoch","loss","val"\n"0","0.5","0.7"\n"1","0.25","0.6"\n',
    'with quoted commas and line ends': '"note, if any",epoch,loss,val\n"a, b",0,0.5,0.7\n"c\n1,9,9",1,0.25,0.6\n',
    'with blank lines': '\nepoch,loss,val\n\n0,0.5,0.7\n\n\n1,0.25,0.6\n',
    'with another spelling of epoch': 'time,Epoch,loss,val\n9,0/2,0.5,0.7\n9,1/2,0.25,0.6\n',
    'with a path before epoch': 'time,trainer/epoch,loss,val\n9,0,0.5,0.7\n9,1,0.25,0.6\n',
    'with rows for training and validation apart, as Lightning':
      'epoch,loss,step,val\n0,0.4,49,\n0,,99,0.7\n0,0.5,99,\n1,0.25,149,\n1,,199,0.6\n',
    'with a row before the epoch is known, as learning rates of Lightning':
      'epoch,loss,lr,val\n,,0.01,\n0,0.5,,0.7\n,,0.001,\n1,0.25,,0.6\n',
    'with the line of names again after a resume': 'epoch,loss,val\n0,0.5,0.7\nepoch,loss,val\n1,0.25,0.6\n',
    'with more columns after a resume': 'epoch,loss\n0,0.9\nepoch,loss,val\n0,0.5,0.7\n1,0.25,0.6\n',
    'with epochs twice after a resume': 'epoch,loss,val\n0,0.5,0.7\n1,9,9\n2,9,9\n1,0.25,0.6\n',
    'with a stray quote': 'epoch,loss,val,note\n0,0.5,0.7,"half\n1,0.25,0.6,b\n',
    'with a text between the rows': 'epoch,loss,val\n0,0.5,0.7\nEarly stopping!\n1,0.25,0.6\n',
  } // biome-ignore format: one shape each

  for (const [how, text] of Object.entries(SHAPES)) {
    it(`${how} gives a point for each epoch`, async () => {
      const found = await curves(text)

      for (const epoch of [0, 1] as const) expect(found[epoch], text).to.include(both[epoch])
    })
  }

  it('leaves gaps for what is no number', async () => {
    const words = ['nan', 'NaN', 'inf', '-inf', 'Infinity', '', 'None', 'N/A', 'tensor(0.5)', 'true']
    const rows = words.map((word, epoch) => `${epoch},${word},1e-3,-2.5E+2`)

    const found = await curves(`epoch,loss,lr,score\n${rows.join('\n')}\n`)

    expect(Object.keys(found)).to.have.lengthOf(words.length)
    for (const epoch of words.keys()) expect(found[epoch]).to.deep.equal({ lr: 0.001, score: -250 })
  })

  it('that is rewritten with one more column goes on with both curves', async () => {
    const before = 'epoch,train_loss\n0,1\n1,0.5\n'

    const found = await curves(before, 'epoch,train_loss,val_loss\n0,1,\n1,0.5,\n2,0.3,0.2\n')

    expect(found).to.deep.equal({ 0: { train_loss: 1 }, 1: { train_loss: 0.5 }, 2: { train_loss: 0.3, val_loss: 0.2 } })
    expect(metrics()).to.have.lengthOf(3)
  })

  it('that is rewritten with other figures reports those that differ', async () => {
    await curves('epoch,a\n0,1\n1,2\n', 'epoch,b,a\n0,7,1\n1,,2\n2,,3\n', 'epoch,b,a\n0,7,1\n1,,nan\n2,,3\n')

    expect(metrics().slice(2)).to.deep.equal([
      { event: 'metrics', epoch: 0, values: { b: 7, a: 1 } },
      { event: 'metrics', epoch: 2, values: { a: 3 } },
      { event: 'metrics', epoch: 1, values: {} },
    ])
  })

  it('that begins again with a resume goes on from there', async () => {
    const found = await curves('epoch,a\n0,1\n1,2\n2,3\n', 'epoch,a\n1,8\n')

    expect(found).to.deep.equal({ 0: { a: 1 }, 1: { a: 8 }, 2: { a: 3 } })
  })

  it('passes over what an earlier start has written, and what is written again', async () => {
    await writeFile(table(), 'epoch,a\n0,1\n1,2\n')

    const found = await curves('epoch,a\n0,1\n1,2\n2,3\n')

    expect(found).to.deep.equal({ 2: { a: 3 } })
  })

  it('counts a last line without an end only when the program has ended well', async () => {
    const source = await open()
    await writeFile(table(), 'epoch,a\n0,0.25\n1,0.12')

    await source.drain({ endedWell: false, endedByUs: false })
    const killed = told()
    await source.drain({ endedWell: true, endedByUs: false })

    expect(killed).to.deep.equal({ 0: { a: 0.25 } })
    expect(told()).to.deep.equal({ 0: { a: 0.25 }, 1: { a: 0.12 } })
  })

  it('that appears, grows, is replaced and vanishes while it is followed is reported all the way', async () => {
    const ended = new AbortController()
    const source = await open({ epochs: 4 })
    const following = source.follow(ended.signal)

    await writeFile(table(), 'epoch,a\n0,1\n')
    await until('the first row', async () => 0 in told())
    await appendFile(table(), '1,2\n')
    await until('the second row', async () => 1 in told())
    await writeFile(`${table()}.new`, 'epoch,a,b\n0,1,5\n1,2,5\n2,3,5\n')
    await rename(`${table()}.new`, table())
    await until('the third row', async () => 2 in told())
    ended.abort()
    await following

    expect(told()).to.deep.equal({ 0: { a: 1, b: 5 }, 1: { a: 2, b: 5 }, 2: { a: 3, b: 5 } })
    expect(progress()).to.deep.equal([0.25, 0.5, 0.75])
  })

  for (const first of [0, 1]) {
    it(`that begins with epoch ${first} makes progress by it`, async () => {
      const source = await open({ epochs: 2 })
      for (const rows of [`${first},nan`, `${first},nan\n${first + 1},nan`]) {
        await writeFile(table(), `epoch,loss\n${rows}\n`)
        await source.drain({ endedWell: false, endedByUs: false })
      }

      expect(progress()).to.deep.equal([0.5, 1])
    })
  }

  it('makes progress by the number of the first epoch that the trainer file has', async () => {
    const source = await open({ epochs: 10, firstEpoch: 5 })
    await writeFile(table(), 'epoch,loss\n5,1\n6,1\n')
    await source.drain({ endedWell: false, endedByUs: false })

    expect(progress()).to.deep.equal([0.2])
  })

  it('without names and with columns of blanks, as that of YOLOv7, makes progress', async () => {
    const source = await open({ epochs: 4 })
    await writeFile(table(), '     0/3      7.1G    0.1078\n     1/3        7G    0.0995\n')
    await source.drain({ endedWell: false })

    expect(progress()).to.deep.equal([0.5])
  })

  it('that a new start appends to, as that of Ultralytics, makes progress and curves of the new start', async () => {
    const before = 'epoch,time,loss\n1,24,0.5\n2,26,0.4\n3,28,0.3\n'
    await writeFile(table(), before)
    const source = await open({ epochs: 4 })
    await appendFile(table(), '1,24,0.5\n2,26,0.6\n')
    await source.drain({ endedWell: false })

    expect(told()).to.deep.equal({ 1: { time: 24, loss: 0.5 }, 2: { time: 26, loss: 0.6 } })
    expect(progress()).to.deep.equal([0.5])
  })

  it('with rows of more values than it has names tells epochs and progress, gives no figure a wrong name, and says so', async () => {
    await writeFile(table(), 'epoch,loss,mAP\n1,0.5,0.8\n2,0.4,0.9\n')
    const said: string[] = []
    const deps = { push: (event: TrainerEvent) => events.push(event), say: (line: string) => said.push(line) }
    const options = { workspace: folder.path, file: 'results.csv', epochs: 4 }
    const source = await openResultsCsv(options, { ...deps, log: silentLogger() })
    await appendFile(table(), '1,7.5,0.6,0.1,0.01\n2,15,inf,0.2,0.01\n')
    await source.drain({ endedWell: false })

    expect(told()).to.deep.equal({ 1: {}, 2: {} })
    expect(progress()).to.deep.equal([0.5])
    expect(said).to.deep.equal([
      'rows of results.csv have more values than it has column names; their figures are unknown',
    ])
  })

  it('with a separator behind its last value, or fewer values than names, keeps its names', async () => {
    expect(await curves('epoch,loss,val\n0,0.5,0.7,\n1,0.25\n')).to.deep.equal({ 0: both[0], 1: { loss: 0.25 } })
  })

  it('is read immediately when somebody asks what it says now', async () => {
    const rows: number[] = []
    const deps = { push: (event: TrainerEvent) => events.push(event), onEpoch: (epoch: number) => rows.push(epoch) }
    const source = await openResultsCsv(
      { workspace: folder.path, file: 'results.csv' },
      { ...deps, log: silentLogger() },
    )
    await writeFile(table(), 'epoch,loss\n1,0.5\n2,0.4\n')
    await Promise.all([source.look(), source.look()])

    expect(rows).to.deep.equal([2])
    expect(told()).to.deep.equal({ 1: { loss: 0.5 }, 2: { loss: 0.4 } })
  })

  it('makes no step back while it is rewritten', async () => {
    const source = await open({ epochs: 4 })
    for (const text of [
      'epoch,a\n0,1\n1,1\n2,1\n',
      'epoch,a\n0,1\n',
      'epoch,a\n',
      '',
      'epoch,a\n0,1\n1,1\n2,1\n3,1\n',
    ]) {
      await writeFile(table(), text)
      await source.drain({ endedWell: false, endedByUs: false })
    }

    expect(progress()).to.deep.equal([0.75, 1])
  })

  it('without names still makes progress', async () => {
    const source = await open({ epochs: 4 })
    await writeFile(table(), '0,1.5\n1,1.25\n')
    await source.drain({ endedWell: false, endedByUs: false })

    expect(progress()).to.deep.equal([0.5])
  })

  it('that counts steps draws curves, but tells nothing of epochs and progress', async () => {
    const source = await open({ epochs: 4 })
    await writeFile(table(), 'step,loss\n50,1\n100,0.5\n')
    await source.drain({ endedWell: false, endedByUs: false })

    expect(told()).to.deep.equal({ 50: { loss: 1 }, 100: { loss: 0.5 } })
    expect(progress()).to.deep.equal([])
  })

  it('of thousands of rows is read in a moment', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `m${index}`)
    const rows = Array.from({ length: 5000 }, (_, epoch) => [
      epoch,
      ...names.map((_name, index) => epoch / (index + 1)),
    ])
    const source = await open()
    await writeFile(table(), `epoch,${names.join(',')}\n${rows.map((row) => row.join(',')).join('\n')}\n`)

    const startedAt = performance.now()
    await source.drain({ endedWell: false, endedByUs: false })

    expect(performance.now() - startedAt).to.be.below(5000)
    expect(metrics()).to.have.lengthOf(500)
    expect(told()[4999]).to.include({ m0: 4999 })
  })

  it('that is a folder or cannot be read costs no training', async () => {
    await mkdir(table())
    const source = await open()
    await source.drain({ endedWell: false, endedByUs: false })

    expect(events).to.deep.equal([])
  })

  it('of any bytes is read without an error, and rows after the garbage are found', async () => {
    const source = await open()
    const names = ['epoch', 'a', 'b"', "c'", 'd,e', 'f\ng']
    const cell = fc.oneof(
      fc.double(),
      fc.string({ unit: 'binary' }),
      fc.constantFrom('"', 'nan', '', ',', '\n', '\r\n', ';', '#'),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(cell, { maxLength: 6 }), { maxLength: 8 }), async (rows) => {
        await writeFile(table(), [names, ...rows].map((row) => row.join(',')).join('\n'))
        await source.drain({ endedWell: true, endedByUs: false })
        for (const event of events.splice(0)) {
          if (event.event === 'metrics') expect(event.epoch).to.satisfy(Number.isSafeInteger)
        }
      }),
      { numRuns: 200 },
    )
    await writeFile(table(), 'epoch,a\n7,0.5\n')
    await source.drain({ endedWell: false, endedByUs: false })

    expect(told()).to.deep.equal({ 7: { a: 0.5 } })
  })

  it('that a CSV writer made gives back its numbers', async () => {
    const point = fc.dictionary(fc.string({ minLength: 1 }), fc.double({ noNaN: true, noDefaultInfinity: true }), {
      maxKeys: 5,
    })
    const quote = (text: string) => `"${text.replaceAll('"', '""')}"`
    await fc.assert(
      fc.asyncProperty(fc.array(point, { minLength: 1, maxLength: 6 }), async (points) => {
        const names = [...new Set(points.flatMap((values) => Object.keys(values)))]
        fc.pre(names.every((name) => name === name.trim() && !/^#|^epochs?$/i.test(name)))
        const rows = points.map((values, epoch) => [
          String(epoch),
          ...names.map((name) => String(Object.hasOwn(values, name) ? values[name] : '')),
        ])
        events = []
        const source = await openResultsCsv(
          { workspace: folder.path, file: 'none.csv' },
          { push: (event) => events.push(event), log: silentLogger() },
        )
        await writeFile(
          join(folder.path, 'none.csv'),
          `${[['epoch', ...names], ...rows].map((row) => row.map(quote).join(',')).join('\n')}\n`,
        )
        await source.drain({ endedWell: false, endedByUs: false })
        await rename(join(folder.path, 'none.csv'), join(folder.path, 'gone.csv'))

        expect(told()).to.deep.equal(
          Object.fromEntries(points.map((values, epoch) => [epoch, withoutMinusZero(values)])),
        )
      }),
      { numRuns: 100 },
    )
  })
})

/** As text, minus zero is 0. */
function withoutMinusZero(values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value + 0]))
}
