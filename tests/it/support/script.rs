//! A transaction that a test leads by the hand, one call after the other, while others run beside it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Poll, Waker};

use futures_channel::oneshot;
use offshoot::engine::op::{Answer, Op};
use offshoot::engine::{Ended, TransactionOptions};
use offshoot::error::{ErrorCode, Result};
use serde_json::Value;

use super::{Db, World, json, unpack};

enum Command {
    Begin(oneshot::Sender<()>),
    Run(Op, oneshot::Sender<Result<Answer>>),
    End(std::result::Result<(), ()>),
}

#[derive(Default)]
struct Commands {
    waiting: VecDeque<Command>,
    waker: Option<Waker>,
}

impl Commands {
    fn push(&mut self, command: Command) {
        self.waiting.push_back(command);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

async fn next(commands: &RefCell<Commands>) -> Command {
    std::future::poll_fn(|context| {
        let mut commands = commands.borrow_mut();
        match commands.waiting.pop_front() {
            Some(command) => Poll::Ready(command),
            None => {
                commands.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    })
    .await
}

/// A transaction under way.
pub struct Script {
    commands: Rc<RefCell<Commands>>,
    ended: oneshot::Receiver<Result<Ended<(), ()>>>,
}

impl Script {
    /// Begins: the snapshot is taken when this returns.
    pub async fn begin(world: &World, db: &Db, options: TransactionOptions) -> Script {
        let commands = Rc::new(RefCell::new(Commands::default()));
        let (begun, is_begun) = oneshot::channel();
        commands.borrow_mut().push(Command::Begin(begun));
        let (end, ended) = oneshot::channel();
        let (db, led) = (db.clone(), commands.clone());
        world.spawn(async move {
            let body = async |transaction: Rc<offshoot::engine::OpenTransaction>| {
                loop {
                    match next(&led).await {
                        Command::Begin(begun) => begun.send(()).expect("the test waits"),
                        Command::Run(op, reply) => {
                            if reply.send(transaction.run(op).await).is_err() {
                                panic!("the test waits");
                            }
                        }
                        Command::End(outcome) => return outcome,
                    }
                }
            };
            let outcome = db.0.transact(options, body).await;
            // A test that does not ask how it ended has dropped the other half.
            let _ = end.send(outcome);
        });
        is_begun.await.expect("the transaction begins");
        Script { commands, ended }
    }

    pub async fn run(&self, op: Op) -> Result<Value> {
        self.answer(op).await.map(json)
    }

    /// One page of documents, whether or not more follow.
    pub async fn page(&self, op: Op) -> Vec<(String, Value)> {
        match self.answer(op).await.expect("the call succeeds") {
            Answer::Documents(page) => page.rows.into_iter().map(|(id, fields)| (id, unpack(&fields))).collect(),
            other => panic!("a page of documents, not {other:?}"),
        }
    }

    pub async fn answer(&self, op: Op) -> Result<Answer> {
        let (reply, answer) = oneshot::channel();
        self.commands.borrow_mut().push(Command::Run(op, reply));
        answer.await.expect("the transaction answers")
    }

    pub async fn ok(&self, op: Op) -> Value {
        self.run(op).await.expect("the call succeeds")
    }

    /// True: committed. False: it lost to another.
    pub async fn commits(self) -> bool {
        match self.end(Ok(())).await {
            Ok(Ended::Committed(..)) => true,
            Ok(Ended::Failed(())) => panic!("the body did not fail"),
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::Conflict, "{error}");
                false
            }
        }
    }

    pub async fn fail(self) {
        assert!(matches!(self.end(Err(())).await, Ok(Ended::Failed(()))), "the body's failure comes out");
    }

    pub async fn end(self, outcome: std::result::Result<(), ()>) -> Result<Ended<(), ()>> {
        self.commands.borrow_mut().push(Command::End(outcome));
        self.ended.await.expect("the transaction ends")
    }
}
