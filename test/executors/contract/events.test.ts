import { expect } from 'chai'
import { parseEventLine, type TrainerEvent } from '../../../src/executors/contract/events.js'
import { EventQueue } from '../../../src/executors/training/event-queue.js'
import { collect } from '../support.js'

describe('line of the events file', () => {
  it('is one of four events', () => {
    expect(parseEventLine('{"event":"progress","progress":0.5,"epoch":1,"epochs":2}').ok).to.equal(true)
    expect(parseEventLine('{"event":"metrics","epoch":1,"values":{"loss":0.5}}').ok).to.equal(true)
    expect(parseEventLine('{"event":"model","epoch":1,"files":{"f":["a"]},"confusion_matrix":{}}').ok).to.equal(true)
    expect(parseEventLine('{"event":"error","message":"no"}').ok).to.equal(true)
  })

  it('clips progress and leaves out what is no number', () => {
    const progress = parseEventLine('{"event":"progress","progress":1.7}')
    const metrics = parseEventLine('{"event":"metrics","epoch":1,"values":{"a":1,"b":null,"c":"x","d":true}}')

    expect(progress).to.deep.include({ ok: true, event: { event: 'progress', progress: 1 } })
    expect(metrics).to.deep.equal({ ok: true, event: { event: 'metrics', epoch: 1, values: { a: 1, d: 1 } } })
  })

  it('may leave the counts of a model out when nobody has measured', () => {
    const model = { event: 'model', epoch: null, files: { f: ['a'] } }
    for (const counts of [{}, { confusion_matrix: null }, { confusion_matrix: {} }]) {
      const parsed = parseEventLine(JSON.stringify({ ...model, ...counts }))
      expect(parsed.ok && parsed.event).to.deep.include({ ...model, confusion_matrix: {} })
    }
  })

  it("may hold Python's NaN and Infinity, which leave a gap", () => {
    const values = '{"a":1,"b":NaN,"c":-Infinity,"d \\"NaN, Infinity":2}'
    const metrics = parseEventLine(`{"event": "metrics", "epoch": 1, "values": ${values}}`)
    const progress = parseEventLine('{"event": "progress", "progress": NaN, "epoch": 3, "message": "loss is NaN"}')
    const model = parseEventLine('{"event":"model","files":{"f":["a"]},"values":{"f1":NaN,"loss":[Infinity]}}')

    expect(metrics).to.deep.include({ event: { event: 'metrics', epoch: 1, values: { a: 1, 'd "NaN, Infinity': 2 } } })
    expect(progress).to.have.property('event').include({ progress: null, epoch: 3, message: 'loss is NaN' })
    expect(model).to.have.property('event').deep.include({ values: {} })
  })

  it('is refused in a moment also when it is long and no JSON', () => {
    for (const part of ['\\"', '"', 'NaN,', '-', '"\\']) {
      expect(parseEventLine(`{"a":${part.repeat(300_000)}`).ok).to.equal(false)
    }
  })

  const bad = [
    ['', 'not-json'],
    ['{"event":"progress","progr', 'not-json'],
    ['null', 'not-json'],
    ['7', 'not-json'],
    ['{}', 'unknown-event'],
    ['{"event":7}', 'unknown-event'],
    ['{"event":"applause"}', 'unknown-event'],
    ['{"event":"__proto__"}', 'unknown-event'],
    ['{"event":"metrics","values":{}}', 'bad-event'],
    ['{"event":"metrics","epoch":-1,"values":{}}', 'bad-event'],
    ['{"event":"model","epoch":1,"files":{"f":["../x"]},"confusion_matrix":{}}', 'bad-event'],
    ['{"event":"model","epoch":1,"files":{"f":["/etc/passwd"]},"confusion_matrix":{}}', 'bad-event'],
    ['{"event":"model","epoch":1,"files":{"f":["a\\u0000b"]},"confusion_matrix":{}}', 'bad-event'],
    ['{"event":"model","epoch":1,"files":{"f":["."]},"confusion_matrix":{}}', 'bad-event'],
    ['{"event":"model","epoch":1,"files":{"f":["a"]},"confusion_matrix":{"c":{"tp":-1,"fp":0,"fn":0}}}', 'bad-event'],
  ] as const
  for (const [line, reason] of bad) {
    it(`${JSON.stringify(line).slice(0, 70)} is ${reason}`, () => {
      expect(parseEventLine(line)).to.include({ ok: false, reason, line })
    })
  }
})

describe('event queue', () => {
  it('replaces progress that nobody has read, and nothing else', async () => {
    const queue = new EventQueue()
    queue.push({ event: { event: 'progress', progress: 0.1 } })
    queue.push({ event: { event: 'progress', progress: 0.2 } })
    queue.push({ event: { event: 'error', message: 'a' } })
    queue.push({ event: { event: 'progress', progress: 0.3 } })
    queue.close()

    const events = (await collect(queue.read())).map(({ event }) => event)

    expect(events).to.deep.equal([
      { event: 'progress', progress: 0.2 },
      { event: 'error', message: 'a' },
      { event: 'progress', progress: 0.3 },
    ])
  })

  it('keeps the files of the newest of the models that nobody has read, and the figures of all', async () => {
    const queue = new EventQueue()
    const dropped: number[] = []
    const model = (epoch: number): TrainerEvent => ({
      event: 'model',
      epoch,
      files: { f: ['a'] },
      confusion_matrix: {},
    })
    const figures = (epoch: number): TrainerEvent => ({ event: 'model', epoch, files: {}, confusion_matrix: {} })
    const push = (epoch: number) =>
      queue.push({
        event: model(epoch),
        dropFiles: () => {
          dropped.push(epoch)
          return { event: figures(epoch) }
        },
      })
    const reader = queue.read()

    push(1)
    const first = await reader.next()
    for (const epoch of [2, 3]) push(epoch)
    queue.push({ event: { event: 'error', message: 'a' } })
    push(4)
    queue.push({ event: figures(5) })
    queue.close()
    const others = (await collect(reader)).map(({ event }) => event)

    expect(first.value?.event).to.deep.equal(model(1))
    expect(others).to.deep.equal([figures(2), figures(3), { event: 'error', message: 'a' }, model(4), figures(5)])
    expect(dropped).to.deep.equal([2, 3])
  })

  it('hands over what was there before the error', async () => {
    const queue = new EventQueue()
    queue.push({ event: { event: 'error', message: 'a' } })
    queue.fail(new Error('disk is gone'))
    const reader = queue.read()

    expect((await reader.next()).done).to.equal(false)
    expect(await reader.next().catch((error: Error) => error.message)).to.equal('disk is gone')
  })
})
