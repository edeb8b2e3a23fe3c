//! Runs a plan over recorded outcomes: what would Lockgate have done?
//!
//! Outcomes are lines of a file, read once in the order of time and in bounded memory. They are added up in buckets like those
//! that gateways write, and the buckets go through [`lockgate_core::playback`], the loop that also decides on paper, and so
//! through the very code that decides live. What is wrong with a file is named, and a file with something wrong in it
//! promotes nothing.
//!
//! Two things differ from a live rollout, because the past cannot be asked: the outcomes are those of the split that was
//! recorded, whatever the plan would have split, and nobody is there to let a rollout go on that stands still. A decision is
//! dated at the end of the last bucket that it rests on; live it comes a watermark later, when that bucket has settled.

mod lines;

mod line;
mod problem;
mod segments;
mod signals;

mod bucket;
mod people;

mod course;
mod telling;

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use lockgate_core::name::{FeatureName, NameError, Revision, VersionName, VersionRef};
use lockgate_core::plan::{PhaseKind, Plan};

pub use self::lines::Source;
pub use self::problem::{Named, Problem, ProblemKind};
pub use self::telling::{End, Grounds, Told, What};

use self::bucket::Open;
use self::course::Course;
use self::line::{LineReader, Side};
use self::lines::{Glance, Line};
use self::problem::{Fault, Problems};
use self::signals::Signals;

/// How wide the buckets are, as by default those of a gateway.
const BUCKET: Duration = Duration::from_secs(10);
/// How much older than the newest outcome another may be, as late as by default a gateway may write.
const WATERMARK: Duration = Duration::from_secs(30);

/// Why there is no backtest. Wrong lines are no reason.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// Reading failed.
    #[error("the outcomes cannot be read")]
    Read(#[source] io::Error),
    /// It can be read only once, as a pipe.
    #[error("the outcomes cannot be read a second time; they must be in a file")]
    ReadAgain(#[source] io::Error),
    /// A name of its own is none.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// Runs a plan over outcomes, tells every decision as it is taken, and says how it ended.
pub fn run(
    mut plan: Plan,
    outcomes: &mut dyn Source,
    tell: &mut dyn FnMut(&Told),
) -> Result<End, BacktestError> {
    // That it can be gone back to is asked first: what a pipe has given is gone.
    outcomes.rewind().map_err(BacktestError::ReadAgain)?;
    let glance = lines::glance(outcomes).map_err(BacktestError::Read)?;
    if !glance.has_segments {
        // Nobody can be told apart by segment, so all of the error budget belongs to the whole.
        plan.slices.part = 0.0;
    }
    let mut run = Run::new(plan, tell)?;
    run.look_for_arms(glance);
    lines::each(outcomes, |number, line| run.line(number, line)).map_err(BacktestError::Read)?;
    run.finish()
}

/// A file half read.
struct Run<'t> {
    reader: LineReader,
    open: Open,
    problems: Problems,
    newest: Option<Timestamp>,
    lines: u64,
    /// Outcomes per arm, stable's first.
    outcomes: [u64; 2],
    /// Present until the rollout begins, which is when the first bucket is closed and so known to be the first.
    beginning: Option<Beginning<'t>>,
    course: Option<Course<'t>>,
}

/// What a rollout begins with.
struct Beginning<'t> {
    plan: Plan,
    names: (FeatureName, VersionRef, VersionRef),
    tell: &'t mut dyn FnMut(&Told),
}

impl<'t> Run<'t> {
    fn new(plan: Plan, tell: &'t mut dyn FnMut(&Told)) -> Result<Self, BacktestError> {
        let names = (FeatureName::new("backtest")?, version("stable")?, version("candidate")?);
        Ok(Self {
            reader: LineReader::new(Signals::of(&plan)),
            open: Open::new(BUCKET.as_millis() as i64),
            problems: Problems::default(),
            newest: None,
            lines: 0,
            outcomes: [0; 2],
            beginning: Some(Beginning { plan, names, tell }),
            course: None,
        })
    }

    /// Names an arm of which there is nothing, before anything is decided without it.
    fn look_for_arms(&mut self, glance: Glance) {
        match (glance.has_stable, glance.has_candidate) {
            (true, false) => self.fault(None, missing("candidate")),
            (false, true) => self.fault(None, missing("stable")),
            _ => {}
        }
    }

    fn line(&mut self, number: u64, line: Line<'_>) {
        self.lines += 1;
        let read = match line {
            Line::Whole(bytes) => self.reader.read(bytes),
            Line::TooLong => Err(Fault::new(ProblemKind::TooLong, "it is longer than a megabyte")),
        };
        match read.and_then(|()| self.in_time()) {
            Ok(newest) => self.outcome(newest),
            Err(fault) => self.fault(Some(number), fault),
        }
    }

    /// The newest time with this line; that of a line which is far behind is refused.
    fn in_time(&self) -> Result<Timestamp, Fault> {
        let ts = self.reader.outcome.ts;
        let Some(newest) = self.newest else { return Ok(ts) };
        let behind = newest.duration_since(ts);
        if behind.as_millis() > WATERMARK.as_millis() as i128 {
            let why = format!(
                "{ts} is {} s before the newest time so far; outcomes must be in the order of time",
                behind.as_secs()
            );
            return Err(Fault::new(ProblemKind::JumpsBack, why));
        }
        Ok(newest.max(ts))
    }

    fn outcome(&mut self, newest: Timestamp) {
        let side = self.reader.outcome.side;
        self.outcomes[usize::from(side == Side::Candidate)] += 1;
        self.newest = Some(newest);
        if self.course.as_ref().is_some_and(Course::is_over) {
            return;
        }
        self.open.put(&self.reader.signals, &self.reader.outcome);
        self.close_until(newest.as_millisecond() - WATERMARK.as_millis() as i64);
    }

    fn close_until(&mut self, ended_by_ms: i64) {
        while let Some((start_ms, bucket)) = self.open.pop(ended_by_ms) {
            self.begin(start_ms);
            let is_last = self.open.is_empty() && ended_by_ms == i64::MAX;
            if let Some(course) = &mut self.course {
                course.close(start_ms, bucket, &self.reader, &mut self.open.spare, is_last);
            }
        }
    }

    fn begin(&mut self, first_ms: i64) {
        let Some(Beginning { plan, names, tell }) = self.beginning.take() else { return };
        let mut course = Course::begin(plan, first_ms, BUCKET, names, tell);
        let ts = course.now();
        self.problems.all().iter().for_each(|problem| course.stop_for(problem, ts));
        self.course = Some(course);
    }

    /// Notes what is wrong; the first time of each kind it is told, and the rollout stands still.
    fn fault(&mut self, line: Option<u64>, fault: Fault) {
        let kind = fault.kind;
        let is_first = self.problems.add(line, fault);
        if let (true, Some(course), Some(problem)) = (is_first, &mut self.course, self.problems.of(kind)) {
            let ts = self.newest.map_or(course.now(), |newest| newest.max(course.now()));
            course.stop_for(problem, ts);
        }
    }

    fn finish(mut self) -> Result<End, BacktestError> {
        self.close_until(i64::MAX);
        let [stable, candidate] = self.outcomes;
        if stable + candidate == 0 {
            self.problems.add(None, Fault::new(ProblemKind::NoOutcomes, "no line of the file can be used"));
        }
        for (outcomes, arm) in [(stable, "stable"), (candidate, "candidate")] {
            if outcomes == 0 && stable + candidate > 0 && self.problems.of(ProblemKind::MissingArm).is_none()
            {
                self.fault(None, missing(arm));
            }
        }
        let problems = self.problems.all();
        if let Some(course) = &mut self.course {
            course.finish(&problems);
        }
        Ok(match (self.beginning.take(), &self.course) {
            (Some(beginning), _) => self.never_begun(beginning, problems),
            (None, course) => self.end(course.as_ref(), problems),
        })
    }

    /// A file without a single outcome holds too, in the phase in which it would have begun.
    fn never_begun(&self, beginning: Beginning<'_>, problems: Vec<Problem>) -> End {
        let first = beginning.plan.phases.first();
        let phase = first.map(|phase| phase.name.clone()).unwrap_or_default();
        let state = match first.map(|phase| phase.kind) {
            Some(PhaseKind::Shadow { .. }) => "shadow",
            _ => "canary",
        };
        let why = problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ");
        let evidence = Grounds { why, problems: problems.clone(), ..Grounds::default() };
        let rule = Some("input".to_owned());
        (beginning.tell)(&Told { ts: None, event: What::Held, phase: phase.clone(), rule, evidence });
        End { state: state.into(), phase, ..self.end(None, problems) }
    }

    fn end(&self, course: Option<&Course<'_>>, problems: Vec<Problem>) -> End {
        let reached = course.map(|course| &course.reached);
        End {
            event: "end",
            ts: course.map(Course::now),
            state: course.map(Course::state).unwrap_or_default(),
            phase: course.map(Course::phase).unwrap_or_default(),
            candidate_requests: reached.map_or(0, |reached| reached.requests),
            users_reached: reached.map_or(0, |reached| reached.users.count()),
            candidate_copies: reached.map_or(0, |reached| reached.copies),
            stable_requests: reached.map_or(0, |reached| reached.stable_requests),
            lines: self.lines,
            outcomes: self.outcomes.iter().sum(),
            problems,
            ignored: self.reader.ignored.clone(),
            notes: course.map(|course| self.notes(course)).unwrap_or_default(),
        }
    }

    /// What was met on the way and left out of some count.
    fn notes(&self, course: &Course<'_>) -> Vec<String> {
        let noted = [
            (
                course.repeats,
                "calls came after a mishap of the same session, and rates of its kind left them out",
            ),
            (
                course.reached.outside,
                "calls of the candidate's by people whom the phase does not admit were left out",
            ),
            (self.open.uncounted, "calls came so close together that their callers were not counted"),
            (
                course.sessions.uncounted,
                "calls fell into more sessions than can be open at once and began none",
            ),
        ];
        noted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
    }
}

fn missing(arm: &str) -> Fault {
    Fault::new(ProblemKind::MissingArm, format!("no outcome is of the arm `{arm}`"))
}

fn version(name: &str) -> Result<VersionRef, NameError> {
    Ok(VersionRef { name: VersionName::new(name)?, revision: Revision::of(name.as_bytes()) })
}
