import { expect } from 'chai'
import { TrainingAbortedError, TrainingStoppedError, WorkerShutdownError } from '../../../src/base/abort-reasons.js'
import { allStages } from '../../../src/workers/trainings/pipeline.js'
import { createStopSwitch } from '../../../src/workers/trainings/stop-switch.js'

describe('the stop switch of a training', () => {
  const stages = Object.values(allStages)
  const namesOf = (some: typeof stages) => some.map(({ name }) => name)

  it('ends data and training, not what follows, when a stop comes while training', () => {
    const stopSwitch = createStopSwitch()
    stopSwitch.phase = 'training'

    stopSwitch.stop()

    const ended = stages.filter((stage) => stopSwitch.signalFor(stage).aborted)
    expect(namesOf(ended)).to.deep.equal(['download-data', 'download-model', 'train'])
    expect(stopSwitch.signalFor(allStages.train).reason).to.be.instanceOf(TrainingStoppedError)
    expect(stopSwitch.endSignal.aborted).to.equal(false)
    expect(stopSwitch.skipsDetection).to.equal(false)
  })

  it('leaves only detection out when a stop comes after the training', () => {
    const stopSwitch = createStopSwitch()
    stopSwitch.phase = 'after'

    stopSwitch.stop()

    const ended = stages.filter((stage) => stopSwitch.signalFor(stage).aborted)
    expect(namesOf(ended)).to.deep.equal(['detect', 'upload-detections'])
    expect(stopSwitch.skipsDetection).to.equal(true)
  })

  it('ends every stage but the cleaning up when aborted', () => {
    const stopSwitch = createStopSwitch()
    stopSwitch.phase = 'after'

    stopSwitch.abort()

    const going = stages.filter((stage) => !stopSwitch.signalFor(stage).aborted)
    expect(namesOf(going)).to.deep.equal(['cleanup'])
    expect(stopSwitch.signalFor(allStages['upload-model']).reason).to.be.instanceOf(TrainingAbortedError)
  })

  it('reaches signals that were handed out before', () => {
    const stopSwitch = createStopSwitch()
    const signal = stopSwitch.signalFor(allStages['upload-model'])

    stopSwitch.end(new WorkerShutdownError())

    expect(signal.reason).to.be.instanceOf(WorkerShutdownError)
  })

  it('lets an abort win over an earlier stop, and the first end over later ones', () => {
    const stopSwitch = createStopSwitch()
    stopSwitch.phase = 'training'
    stopSwitch.stop()
    stopSwitch.abort()
    stopSwitch.end(new WorkerShutdownError())

    expect(stopSwitch.endSignal.reason).to.be.instanceOf(TrainingAbortedError)
    expect(stopSwitch.signalFor(allStages['sync-metrics']).reason).to.be.instanceOf(TrainingAbortedError)
  })

  it('takes a stop before the training as the end of the way to it', () => {
    const stopSwitch = createStopSwitch()

    stopSwitch.stop()

    expect(stopSwitch.signalFor(allStages['download-data']).reason).to.be.instanceOf(TrainingStoppedError)
    expect(stopSwitch.skipsDetection).to.equal(false)
  })
})
