import { expect } from 'chai'
import { Turnstile } from '../../src/inference/turnstile.js'

describe('Turnstile', () => {
  it('lets in as many as it has places, and the next in order of arrival', async () => {
    const turnstile = new Turnstile(1)
    const entered: string[] = []
    const arrive = async (name: string) => {
      const leave = await turnstile.enter()
      entered.push(name)
      return leave
    }
    const leave = await turnstile.enter()
    const second = arrive('second')
    const third = arrive('third')

    leave()
    const leaveSecond = await second

    expect(entered).to.deep.equal(['second'])
    leaveSecond()
    const leaveThird = await third
    leaveThird()
    expect(turnstile.inside).to.equal(0)
  })

  it('sends a waiting one away with the reason of its signal and forgets it', async () => {
    const turnstile = new Turnstile(1)
    const leave = await turnstile.enter()
    const controller = new AbortController()
    const reason = new Error('no longer wanted')
    const waiting = turnstile.enter(controller.signal).catch((error: unknown) => error)

    controller.abort(reason)

    expect(await waiting).to.equal(reason)
    expect(turnstile.waiting).to.equal(0)
    leave()
    expect(turnstile.inside).to.equal(0)
  })

  it('lets in more or fewer when it is made wider or narrower', async () => {
    const turnstile = new Turnstile(1)
    const leave = await turnstile.enter()
    const second = turnstile.enter()
    const third = turnstile.enter()

    turnstile.setWidth(2)
    const leaveSecond = await second
    turnstile.setWidth(1)
    leave()

    expect(turnstile.inside).to.equal(1)
    expect(turnstile.waiting).to.equal(1)
    leaveSecond()
    await third
  })

  it('tells when it is empty, and a place given back twice counts once', async () => {
    const turnstile = new Turnstile(2)
    const leaveFirst = await turnstile.enter()
    const leaveSecond = await turnstile.enter()
    let isEmpty = false
    const empty = turnstile.empty().then(() => {
      isEmpty = true
    })

    leaveFirst()
    leaveFirst()
    await Promise.resolve()
    expect(isEmpty).to.equal(false)
    leaveSecond()

    await empty
    expect(isEmpty).to.equal(true)
  })
})
