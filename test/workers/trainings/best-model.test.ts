import { expect } from 'chai'
import type { ModelEvent } from '../../../src/executors/contract/events.js'
import { toBestModel } from '../../../src/workers/trainings/best-model.js'

describe('the best model in the journal', () => {
  const model: ModelEvent = { event: 'model', epoch: 3, files: {}, confusion_matrix: {}, values: undefined }
  const counts = { c1: { tp: 3, fp: 1, fn: 0 }, c2: { tp: 0, fp: 0, fn: 1 } }

  it('has the F1 that was reported, or else that of the counts', () => {
    expect(toBestModel({ ...model, confusion_matrix: counts, values: { f1: 0.5 } }, 3)).to.include({ f1: 0.5 })
    expect(toBestModel({ ...model, confusion_matrix: counts }, 3)).to.deep.equal({
      epoch: 3,
      f1: 0.75,
      classes: counts,
    })
  })

  it('has no figures that nobody measured', () => {
    const nothing = { c1: { tp: 0, fp: 0, fn: 0 } }

    expect(toBestModel(model, null)).to.deep.equal({ epoch: null, f1: undefined, classes: undefined })
    expect(toBestModel({ ...model, confusion_matrix: nothing }, 3)).to.include({ f1: undefined })
  })

  it('has an F1 of 0 when nothing was right', () => {
    expect(toBestModel({ ...model, confusion_matrix: { c1: { tp: 0, fp: 2, fn: 0 } } }, 3)).to.include({ f1: 0 })
  })
})
