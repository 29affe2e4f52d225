import { expect } from 'chai'
import { queueNames } from '../../../src/queue/jobs/names.js'

describe('queue names', () => {
  it('name the queues by host and node', () => {
    expect(queueNames.host('lab-1', 'train')).to.equal('lab-1.train')
    expect(queueNames.node('85ef6a43')).to.equal('node.85ef6a43')
  })

  for (const bad of ['', 'lab:1', 'a b', '../x', '{x}', 'x'.repeat(200), 'ä', '.hidden', 'a\u0000b']) {
    it(`refuse ${JSON.stringify(bad.slice(0, 10))} with a sentence`, () => {
      expect(() => queueNames.host(bad, 'train')).to.throw('cannot name a queue')
      expect(() => queueNames.node(bad)).to.throw('cannot name a queue')
    })
  }

  it('refuse a host whose queues would be those of somebody else', () => {
    expect(() => queueNames.host('trainings', 'train')).to.throw('reserved')
    expect(() => queueNames.host('node', 'train')).to.throw('reserved')
  })
})
