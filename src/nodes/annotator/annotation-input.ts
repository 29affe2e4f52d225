import { parseMessage, type UserInput, userInputSchema } from '../../loop/protocol/index.js'
import type { AnnotationInput } from './annotation-tool.js'

/** A user's input without the image's place on this machine. */
export type ReceivedInput = Omit<AnnotationInput, 'imagePath'> & { readonly frontendId: string }

/** Reads the argument of `handle_user_input`; throws LF_BAD_MESSAGE with the field that is wrong. */
export function parseUserInput(value: unknown): ReceivedInput {
  return toInput(parseMessage(userInputSchema, value, 'handle_user_input'))
}

function toInput({ frontend_id, data }: UserInput): ReceivedInput {
  return {
    frontendId: frontend_id,
    eventType: data.event_type,
    coordinate: data.coordinate,
    path: [data.coordinate],
    organization: data.context.organization,
    project: data.context.project,
    imageId: data.image_uuid,
    category: data.category,
    keyUp: data.key_up,
    keyDown: data.key_down,
    epsilon: data.epsilon,
    isShiftKeyPressed: data.is_shift_key_pressed === true,
  }
}

const MAX_PATH = 10_000

/** The later of two moves with the way of both, or undefined when they are not two moves of one stroke. */
export function mergeMoves(earlier: ReceivedInput, later: ReceivedInput): ReceivedInput | undefined {
  const isOneMove =
    earlier.eventType === 'mouse_move' &&
    later.eventType === 'mouse_move' &&
    earlier.imageId === later.imageId &&
    earlier.category.id === later.category.id &&
    earlier.isShiftKeyPressed === later.isShiftKeyPressed &&
    earlier.path.length < MAX_PATH &&
    [earlier.keyUp, earlier.keyDown, later.keyUp, later.keyDown].every((key) => key === null)
  return isOneMove ? { ...later, path: [...earlier.path, ...later.path] } : undefined
}
