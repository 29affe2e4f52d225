import { expect } from 'chai'
import { toModelFacts } from '../../../../src/inference/backends/model/model-facts.js'

const facts = (metadata: Parameters<typeof toModelFacts>[0]) => toModelFacts(metadata, '/models/model.onnx')

describe('what the metadata of a model say', () => {
  it('of an Ultralytics export is its task, its names and whether its boxes are finished', () => {
    const args = "{'batch': 1, 'half': False, 'dynamic': False, 'simplify': True, 'opset': None, 'nms': False}"

    expect(facts({ task: 'detect', names: "{0: 'cat', 1: 'dog'}", args })).to.deep.equal({
      task: 'detect',
      isFinished: false,
      names: ['cat', 'dog'],
    })
    expect(facts({ task: 'segment', args: args.replace("'nms': False", "'nms': True") }).isFinished).to.equal(true)
    expect(facts({ task: 'detect', args, end2end: 'True' }).isFinished).to.equal(true)
    expect(facts({ task: 'detect', args, end2end: 'False' }).isFinished).to.equal(false)
    expect(facts({ task: 'detect', end2end: '{"a": 1' }).isFinished).to.equal(false)
  })

  it('of a YOLO v5 export are names alone', () => {
    expect(facts({ names: "{0: 'cat'}" })).to.deep.equal({ names: ['cat'] })
    expect(facts({ names: "['cat', 'dog']" })).to.deep.equal({ names: ['cat', 'dog'] })
  })

  it('may be JSON, in any order of the numbers, and hold what YAML made of a name', () => {
    expect(facts({ names: '{"1": "dog", "0": "cat"}' }).names).to.deep.equal(['cat', 'dog'])
    expect(facts({ names: '["cat"]', args: '{"nms": true}' })).to.deep.equal({ isFinished: true, names: ['cat'] })
    expect(facts({ names: '{0: 1, 1: True, 2: 7.5}' }).names).to.deep.equal(['1', 'True', '7.5'])
  })

  for (const names of [
    '',
    'person',
    '{}',
    '[]',
    "{0: 'a', 2: 'b'}",
    "{'a': 0}",
    "{0: ['a']}",
    "{-1: 'a'}",
    "{0: 'a', 1: None}",
    '{"0": "a", "00": "b"}',
    "{1e99: 'a'}",
  ]) {
    it(`is refused with the names ${JSON.stringify(names)}`, () => {
      expect(() => facts({ names }))
        .to.throw('must be a name for each number from 0 on')
        .with.property('code', 'LF_MODEL_LAYOUT')
    })
  }

  for (const task of ['pose', 'obb', 'OBB', 'semantic', '']) {
    it(`is refused with the task ${JSON.stringify(task)}`, () => {
      expect(() => facts({ task }))
        .to.throw('cannot be read')
        .with.property('code', 'LF_MODEL_LAYOUT')
    })
  }
})
