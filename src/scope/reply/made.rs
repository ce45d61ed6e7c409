//! An answer that is made as it is given out.
//!
//! What is large is never there twice. The backend's answer is read through once, element by element, and each element
//! is cut and written as it will be; only where it stands, and that it is left, is kept. So all is known before
//! anything is answered: that every element decodes, whether anything is left, and how many bytes that is. Each is
//! cut and written a second time when it is given out, from the backend's own bytes.

use crate::budget::Permit;
use crate::rejection::Rejection;
use prost::bytes::Bytes;
use serde::Serialize;
use std::fmt;
use std::ops::Range;

/// Bytes that are given out at a time, at least; an element is not divided. An answer of no more is made once.
pub const PART_BYTES: usize = 64 * 1024;

/// Bytes of an element from which it is taken apart, where it has a list of elements of its own.
pub(super) const LARGE_BYTES: usize = 64 * 1024;

/// Bytes by which what is held grows, so that not every element asks for some.
const UNIT: usize = 16 * 1024;

/// How many times its bytes an element of JSON takes while it is cut and written.
pub(super) const JSON_TIMES: usize = 8;

/// The same for one of protobuf.
pub(super) const PROTOBUF_TIMES: usize = 8;

/// How the elements of an answer are cut and written.
pub(super) trait Model: Send + 'static {
    /// Which kind of element one is.
    type Form: Copy + Send + 'static;

    /// How many times its bytes an element takes while it is cut and written, at most.
    const TIMES: usize;

    /// Writes what is left of `part`, an element as the backend wrote it, to the end of `out`; nothing, and `false`, where
    /// nothing is. Does the same each time it is asked.
    ///
    /// # Errors
    /// Why the answer cannot be passed, such as [`crate::rejection::UpstreamFault::Undecodable`].
    fn write(&self, form: Self::Form, part: &[u8], out: &mut Vec<u8>) -> Result<bool, Rejection>;

    /// Where the elements of that form stand, if not in the backend's answer.
    fn aside(&self, _form: Self::Form) -> Option<&[u8]> {
        None
    }
}

/// What the reading of an answer takes of the memory.
#[derive(Debug)]
pub(super) struct Account {
    permit: Permit,
    kept: usize,
    large: usize,
}

impl Account {
    /// `permit` takes it, and has `kept` bytes to the end. Elements of more than `large` bytes are taken apart.
    pub(super) fn new(permit: Permit, kept: usize, large: usize) -> Self {
        Self { permit, kept, large }
    }

    /// Counts `bytes` that are kept to the end.
    ///
    /// # Errors
    /// [`Rejection::NoMemory`].
    pub(super) fn keep(&mut self, bytes: usize) -> Result<(), Rejection> {
        self.kept = self.kept.saturating_add(bytes);
        self.need(0)
    }

    /// Makes room for `bytes` that are needed for a while, as well as for what is kept.
    ///
    /// # Errors
    /// [`Rejection::NoMemory`].
    pub(super) fn need(&mut self, bytes: usize) -> Result<(), Rejection> {
        let all = self.kept.saturating_add(bytes);
        if all <= self.permit.units() {
            return Ok(());
        }
        let most = if all > UNIT { all.checked_next_multiple_of(UNIT).unwrap_or(all) } else { all };
        self.permit.hold(most).map_err(|_| Rejection::NoMemory)
    }

    /// An account for the same holders, which has nothing yet.
    pub(super) fn another(&self) -> Self {
        Self { permit: self.permit.another(), kept: 0, large: self.large }
    }

    /// What was kept is no longer needed.
    pub(super) fn drop_kept(&mut self, bytes: Vec<u8>) {
        self.kept = self.kept.saturating_sub(bytes.len());
    }

    /// Puts what `make` makes of `bodies`, JSON that is read whole, since what is asked for is short.
    ///
    /// # Errors
    /// Those of `make`, and [`Rejection::NoMemory`].
    pub(super) fn at_once(
        mut self,
        bytes: usize,
        make: impl FnOnce() -> Result<Option<Vec<u8>>, Rejection>,
    ) -> Result<Option<Made>, Rejection> {
        self.need(bytes.saturating_mul(JSON_TIMES))?;
        Ok(make()?.map(|body| self.whole(body)))
    }

    /// What is made already is the whole answer.
    pub(super) fn whole(self, body: Vec<u8>) -> Made {
        Made { bytes: body.len(), rest: Rest::Whole(self.permit.bind(body)) }
    }
}

/// Where the bytes of a step are, and what becomes of them.
#[derive(Clone, Copy)]
struct Step<F> {
    from: u32,
    bytes: u32,
    /// None: they are of the texts, as they are.
    form: Option<F>,
    /// Whether a comma stands before it.
    more: bool,
}

/// An answer as it is read, with what will be given out.
pub(super) struct Plan<M: Model> {
    /// How elements are written.
    pub(super) model: M,
    pub(super) account: Account,
    /// Where the backend's answer begins in memory.
    base: usize,
    steps: Vec<Step<M::Form>>,
    texts: Vec<u8>,
    /// Bytes of what will be given out.
    bytes: usize,
    /// The same, as long as it is short.
    out: Vec<u8>,
    short: bool,
    /// Bytes of the largest element.
    largest: usize,
}

/// A place in a plan, to which it can be taken back.
#[derive(Clone, Copy)]
pub(super) struct Place {
    steps: usize,
    texts: usize,
    bytes: usize,
}

/// Reads `source` as `read` says, whose result is `false` where nothing is left.
///
/// # Errors
/// Those of `read`, and [`Rejection::NoMemory`].
pub(super) fn make<M: Model>(
    model: M,
    source: Vec<u8>,
    account: Account,
    read: impl FnOnce(&mut Plan<M>, &[u8]) -> Result<bool, Rejection>,
) -> Result<Option<Made>, Rejection> {
    let short = account.large > 0;
    let mut plan = Plan {
        model,
        account,
        base: source.as_ptr().addr(),
        steps: Vec::new(),
        texts: Vec::new(),
        bytes: 0,
        out: Vec::new(),
        short,
        largest: 0,
    };
    Ok(if read(&mut plan, &source)? { Some(plan.ended(source)) } else { None })
}

impl<M: Model> Plan<M> {
    /// Whether an element is taken apart.
    pub(super) fn is_large(&self, element: &[u8]) -> bool {
        element.len() > self.account.large
    }

    /// Puts an element of the answer, as far as it is left; with a comma before it, if there are `more` before it.
    /// Whether anything is.
    ///
    /// # Errors
    /// As [`Model::write`], and [`Rejection::NoMemory`].
    pub(super) fn part(&mut self, form: M::Form, part: &[u8], more: bool) -> Result<bool, Rejection> {
        let from = part.as_ptr().addr().checked_sub(self.base);
        let from = from.ok_or_else(|| Rejection::Defect("an element of another answer".to_owned()))?;
        self.put(form, from, part, more)
    }

    /// Puts elements that stand aside, in `range` there.
    ///
    /// # Errors
    /// As [`Self::part`].
    pub(super) fn aside_part(
        &mut self,
        form: M::Form,
        range: Range<usize>,
        more: bool,
    ) -> Result<bool, Rejection> {
        let from = range.start;
        let part = self.model.aside(form).and_then(|aside| aside.get(range)).map(<[u8]>::to_vec);
        let part = part.ok_or_else(|| Rejection::Defect("nothing stands aside".to_owned()))?;
        self.put(form, from, &part, more)
    }

    fn put(&mut self, form: M::Form, from: usize, part: &[u8], more: bool) -> Result<bool, Rejection> {
        self.largest = self.largest.max(part.len());
        self.account.need(part.len().saturating_mul(M::TIMES))?;
        let before = self.out.len();
        if more {
            self.out.push(b',');
        }
        let left = self.model.write(form, part, &mut self.out)?;
        if !left {
            self.out.truncate(before);
            return Ok(false);
        }
        self.bytes = self.bytes.saturating_add(self.out.len().saturating_sub(before));
        self.step(from, part.len(), Some(form), more)?;
        self.forget();
        Ok(true)
    }

    /// Puts a text.
    ///
    /// # Errors
    /// [`Rejection::NoMemory`].
    pub(super) fn text(&mut self, text: &[u8]) -> Result<(), Rejection> {
        let from = self.texts.len();
        self.account.keep(text.len().saturating_mul(2))?;
        self.texts.extend_from_slice(text);
        self.bytes = self.bytes.saturating_add(text.len());
        self.out.extend_from_slice(text);
        self.forget();
        match self.steps.last_mut() {
            Some(Step { from: begun, bytes, form: None, .. })
                if usize::try_from(begun.saturating_add(*bytes)) == Ok(from) =>
            {
                *bytes = bytes.saturating_add(number(text.len())?);
                Ok(())
            }
            _ => self.step(from, text.len(), None, false),
        }
    }

    /// Puts the members of a JSON object and leaves it open for another; with a comma before it, if there are `more`
    /// before it.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub(super) fn open(&mut self, object: &impl Serialize, more: bool) -> Result<(), Rejection> {
        let mut text = if more { vec![b','] } else { Vec::new() };
        let empty = text.len().saturating_add(1);
        written(object, &mut text)?;
        text.pop();
        if text.len() > empty {
            text.push(b',');
        }
        self.text(&text)
    }

    /// Puts the members of a JSON object behind others, and ends it.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub(super) fn close(&mut self, object: &impl Serialize) -> Result<(), Rejection> {
        let mut text = Vec::new();
        written(object, &mut text)?;
        match text.as_mut_slice() {
            [b'{', b'}'] => self.text(b"}"),
            [first, ..] => {
                *first = b',';
                self.text(&text)
            }
            [] => Ok(()),
        }
    }

    /// Puts what `inner` puts as the field `tag` of a message of protobuf.
    ///
    /// # Errors
    /// Those of `inner`, and as [`Self::text`].
    pub(super) fn message(
        &mut self,
        tag: u32,
        inner: impl FnOnce(&mut Self) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        let before = self.place();
        // Its text is made when its length is known.
        self.push(Step { from: u32::MAX, bytes: 0, form: None, more: false })?;
        inner(self)?;
        let mut head = Vec::new();
        prost::encoding::encode_key(tag, prost::encoding::WireType::LengthDelimited, &mut head);
        let length = self.bytes.saturating_sub(before.bytes);
        prost::encoding::encode_varint(length as u64, &mut head);
        if let Some(step) = self.steps.get_mut(before.steps) {
            (step.from, step.bytes) = (number(self.texts.len())?, number(head.len())?);
        }
        self.account.keep(head.len().saturating_mul(2))?;
        self.texts.extend_from_slice(&head);
        self.bytes = self.bytes.saturating_add(head.len());
        if self.short {
            self.out.splice(before.bytes..before.bytes, head);
            self.forget();
        }
        Ok(())
    }

    /// Where it is now.
    pub(super) fn place(&self) -> Place {
        Place { steps: self.steps.len(), texts: self.texts.len(), bytes: self.bytes }
    }

    /// Takes back what was put since it was at `place`.
    pub(super) fn back_to(&mut self, place: Place) {
        self.steps.truncate(place.steps);
        // A text that goes could have been joined to one that stays.
        if let Some(Step { from, bytes, form: None, .. }) =
            self.steps.last_mut().filter(|s| s.from != u32::MAX)
        {
            let most = usize::try_from(*from).map_or(0, |from| place.texts.saturating_sub(from));
            *bytes = (*bytes).min(u32::try_from(most).unwrap_or(u32::MAX));
        }
        let less = self.texts.len().saturating_sub(place.texts);
        self.account.kept = self.account.kept.saturating_sub(less.saturating_mul(2));
        self.texts.truncate(place.texts);
        self.bytes = place.bytes;
        if self.short {
            self.out.truncate(place.bytes);
        }
    }

    fn step(
        &mut self,
        from: usize,
        bytes: usize,
        form: Option<M::Form>,
        more: bool,
    ) -> Result<(), Rejection> {
        self.push(Step { from: number(from)?, bytes: number(bytes)?, form, more })
    }

    fn push(&mut self, step: Step<M::Form>) -> Result<(), Rejection> {
        if self.steps.len() == self.steps.capacity() {
            // By a quarter: a list that doubles is there one and a half times while it is copied.
            let more = (self.steps.len() / 4).saturating_add(64);
            self.account.keep(more.saturating_mul(size_of::<Step<M::Form>>()))?;
            self.account.need(self.steps.len().saturating_mul(size_of::<Step<M::Form>>()))?;
            self.steps.reserve_exact(more);
        }
        self.steps.push(step);
        Ok(())
    }

    /// What is no longer short is not kept.
    fn forget(&mut self) {
        self.short &= self.out.len() <= PART_BYTES;
        if !self.short {
            self.out.clear();
            self.out.shrink_to(2 * PART_BYTES);
        }
    }

    fn ended(self, source: Vec<u8>) -> Made {
        let Self { model, mut account, steps, texts, bytes, out, short, largest, .. } = self;
        if short {
            return Made { bytes, rest: Rest::Whole(account.permit.bind(out)) };
        }
        drop(out);
        let most = largest.saturating_mul(M::TIMES).saturating_add(2 * PART_BYTES);
        account.permit.shrink(account.kept.saturating_add(most));
        let parts = Box::new(Parts { model, source, steps, texts, next: 0 });
        Made { bytes, rest: Rest::Parts(parts, account.permit) }
    }
}

/// A place in an answer, which has less than 4 GiB.
fn number(of: usize) -> Result<u32, Rejection> {
    u32::try_from(of).map_err(|_| Rejection::Defect("an answer of more than 4 GiB".to_owned()))
}

/// Writes `value` as JSON to the end of `out`.
///
/// # Errors
/// [`Rejection::Defect`] if it has no JSON.
pub(super) fn written(value: &impl Serialize, out: &mut Vec<u8>) -> Result<(), Rejection> {
    serde_json::to_writer(out, value).map_err(|e| Rejection::Defect(e.to_string()))
}

struct Parts<M: Model> {
    model: M,
    source: Vec<u8>,
    steps: Vec<Step<M::Form>>,
    texts: Vec<u8>,
    next: usize,
}

trait Given: Send {
    /// Adds to `out` until it has a part of the answer; `false`: the last one.
    fn part(&mut self, out: &mut Vec<u8>) -> Result<bool, Rejection>;
}

impl<M: Model> Given for Parts<M> {
    fn part(&mut self, out: &mut Vec<u8>) -> Result<bool, Rejection> {
        let defect = || Rejection::Defect("a cut is not the same again".to_owned());
        while let Some(step) = self.steps.get(self.next) {
            self.next = self.next.saturating_add(1);
            let aside = step.form.map_or(Some(&*self.texts), |form| self.model.aside(form));
            let from = usize::try_from(step.from).unwrap_or(usize::MAX);
            let end = from.saturating_add(usize::try_from(step.bytes).unwrap_or(usize::MAX));
            let part = aside.unwrap_or(&self.source).get(from..end).ok_or_else(defect)?;
            if step.more {
                out.push(b',');
            }
            match step.form {
                None => out.extend_from_slice(part),
                Some(form) if self.model.write(form, part, out)? => {}
                Some(_) => return Err(defect()),
            }
            if out.len() >= PART_BYTES {
                break;
            }
        }
        Ok(self.next < self.steps.len())
    }
}

/// An answer that holds nothing but the caller's, and its memory until the last byte is gone.
pub struct Made {
    bytes: usize,
    rest: Rest,
}

enum Rest {
    Whole(Bytes),
    Parts(Box<dyn Given>, Permit),
    Ended,
}

impl Made {
    /// How many bytes it has in all.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it is there already, and costs nothing to give out.
    pub fn is_whole(&self) -> bool {
        !matches!(self.rest, Rest::Parts(..))
    }

    /// A permit for the same holders, which has taken nothing yet; none where it is there already.
    pub fn another(&self) -> Option<Permit> {
        match &self.rest {
            Rest::Parts(_, permit) => Some(permit.another()),
            Rest::Whole(_) | Rest::Ended => None,
        }
    }

    /// Its next bytes, some [`PART_BYTES`]; none after the last.
    ///
    /// # Errors
    /// [`Rejection::Defect`]: it is not what it was when it was read.
    pub fn part(&mut self) -> Result<Option<Bytes>, Rejection> {
        match &mut self.rest {
            Rest::Whole(rest) => {
                let part = rest.split_to(rest.len().min(PART_BYTES));
                Ok(Some(part).filter(|part| !part.is_empty()))
            }
            Rest::Parts(parts, _) => {
                let mut out = Vec::with_capacity(PART_BYTES.saturating_add(PART_BYTES / 4));
                if parts.part(&mut out)? {
                    return Ok(Some(out.into()));
                }
                // What is still on its way to the caller counts until it is gone.
                match std::mem::replace(&mut self.rest, Rest::Ended) {
                    Rest::Parts(_, permit) => Ok(Some(permit.bind(out)).filter(|part| !part.is_empty())),
                    Rest::Whole(_) | Rest::Ended => Ok(None),
                }
            }
            Rest::Ended => Ok(None),
        }
    }

    /// All of it.
    ///
    /// # Errors
    /// As [`Self::part`].
    pub fn whole(mut self) -> Result<Vec<u8>, Rejection> {
        let mut all = Vec::with_capacity(self.bytes);
        while let Some(part) = self.part()? {
            all.extend_from_slice(&part);
        }
        Ok(all)
    }
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Made({} bytes)", self.bytes)
    }
}
