import { expect } from 'chai'
import { type HostOffer, rank, type WaitingRecord } from '../../../src/queue/records/rank.js'

const host: HostOffer = {
  hostId: 'a',
  protocol: 1,
  slots: 2,
  names: { training: ['yolo', 'mask'], conversion: ['onnx'] },
}

function waiting(id: string, createdAt: number, more: Partial<WaitingRecord> = {}): WaitingRecord {
  const requires = { gpus: 1 }
  return {
    id,
    kind: 'training',
    name: 'yolo',
    version: 1,
    protocol: 1,
    requires,
    createdAt,
    intent: null,
    avoid: [],
    ...more,
  }
}

const ranked = (snapshot: readonly WaitingRecord[], by: HostOffer = host) => rank(snapshot, by).map(({ id }) => id)

describe('the rank of waiting records', () => {
  it('is their age, over all names and kinds that the host serves', () => {
    const snapshot = [
      waiting('c', 3),
      waiting('a', 1, { name: 'mask' }),
      waiting('b', 2, { kind: 'conversion', name: 'onnx' }),
    ]

    expect(ranked(snapshot)).to.deep.equal(['a', 'b', 'c'])
  })

  it('leaves out what the host could never work on', () => {
    const snapshot = [
      waiting('needs-eight', 1, { requires: { gpus: 8 } }),
      waiting('other-trainer', 2, { name: 'other' }),
      waiting('trainer-as-converter', 3, { kind: 'conversion', name: 'yolo' }),
      waiting('newer', 4, { protocol: 2 }),
      waiting('fits', 5, { requires: { gpus: 2 } }),
    ]

    expect(ranked(snapshot)).to.deep.equal(['fits'])
    expect(ranked(snapshot, { ...host, slots: 0 })).to.deep.equal([])
    expect(ranked(snapshot, { ...host, protocol: 2, slots: 8 })).to.deep.equal(['needs-eight', 'newer', 'fits'])
  })

  it('leaves what a host has just handed back to others', () => {
    expect(ranked([waiting('a', 1), waiting('b', 2)], { ...host, avoid: new Set(['a']) })).to.deep.equal(['b'])
  })

  it('is the same on all hosts for records of one millisecond, and leaves the snapshot as it is', () => {
    const snapshot = [waiting('b', 1), waiting('a', 1), waiting('c', 0)]

    expect(ranked(snapshot)).to.deep.equal(['c', 'a', 'b'])
    expect(ranked([...snapshot].reverse())).to.deep.equal(['c', 'a', 'b'])
    expect(snapshot.map(({ id }) => id)).to.deep.equal(['b', 'a', 'c'])
  })

  it('is empty without records', () => {
    expect(ranked([])).to.deep.equal([])
  })
})
