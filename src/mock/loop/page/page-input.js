/**
 * Sends inputs one after the other, since two requests could overtake each other. Moves that come while another one is
 * on its way are merged: only the last place counts.
 */
export function createInputQueue({ send, onAnswer }) {
  const waiting = []
  let isSending = false

  async function sendAll() {
    isSending = true
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const since = performance.now()
      const answer = await send(next.node, next.data).catch((error) => ({ error }))
      await onAnswer({ ...answer, ms: performance.now() - since, data: next.data }).catch(() => undefined)
    }
    isSending = false
  }

  return {
    add(node, data) {
      const last = waiting.at(-1)
      if (last !== undefined && last.node === node && isMove(last.data) && isMove(data)) waiting.pop()
      waiting.push({ node, data })
      if (!isSending) sendAll()
    },
  }
}

function isMove({ event_type }) {
  return event_type === 'mouse_move'
}
