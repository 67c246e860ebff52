//! A queue in which those who write the witness take their turns, first come, first served.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use futures_channel::oneshot;

#[derive(Default)]
struct Line {
    taken: Cell<bool>,
    waiting: RefCell<VecDeque<oneshot::Sender<Turn>>>,
}

#[derive(Clone, Default)]
pub struct Turns(Rc<Line>);

/// Held by whoever has the turn; the next in line gets it when this is dropped.
pub struct Turn(Option<Rc<Line>>);

impl Turns {
    pub async fn take(&self) -> Turn {
        if !self.0.taken.replace(true) {
            return Turn(Some(self.0.clone()));
        }
        let (sender, receiver) = oneshot::channel();
        self.0.waiting.borrow_mut().push_back(sender);
        receiver.await.expect("BUG: whoever has the turn hands it on")
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(line) = self.0.take() else { return };
        loop {
            let next = line.waiting.borrow_mut().pop_front();
            let Some(next) = next else { break };
            match next.send(Turn(Some(line.clone()))) {
                Ok(()) => return,
                // It waits no longer. The turn that came back is emptied, so that only this loop hands on.
                Err(mut refused) => drop(refused.0.take()),
            }
        }
        line.taken.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_executor::{LocalPool, LocalSpawner};
    use futures_task::{LocalFutureObj, LocalSpawn};

    fn spawn(spawner: &LocalSpawner, task: impl Future<Output = ()> + 'static) {
        let task = LocalFutureObj::new(Box::new(task));
        spawner.spawn_local_obj(task).expect("the pool runs");
    }

    #[test]
    fn turns_are_taken_in_order_and_one_at_a_time() {
        let mut pool = LocalPool::new();
        let (turns, order) = (Turns::default(), Rc::new(RefCell::new(Vec::new())));
        for number in 0..5 {
            let (turns, order) = (turns.clone(), order.clone());
            spawn(&pool.spawner(), async move {
                let turn = turns.take().await;
                order.borrow_mut().push(number);
                drop(turn);
            });
        }
        pool.run();
        assert_eq!(*order.borrow(), [0, 1, 2, 3, 4]);
        assert!(!turns.0.taken.get(), "at the end nobody has it");
    }
}
