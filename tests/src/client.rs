//! A WebSocket client.

use std::{collections::VecDeque, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        http::HeaderName,
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

/// How long a frame may take that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// The bytes of the largest frame that API Gateway takes.
const LARGEST_FRAME: usize = 32 * 1024;

/// A client that is connected.
#[derive(Debug)]
pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The sub-protocol that the server chose.
    pub subprotocol: Option<String>,
    /// What came while something else was waited for.
    heard: VecDeque<Value>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::connect_with(url, &[]).await
    }

    /// Connects, with headers of its own.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn connect_with(url: &str, headers: &[(&str, &str)]) -> Result<Self> {
        let mut request = url.into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(HeaderName::try_from(*name)?, value.parse()?);
        }
        let (socket, response) =
            connect_async(request).await.with_context(|| format!("cannot connect to {url}"))?;
        let chosen =
            response.headers().get("sec-websocket-protocol").map(|name| name.to_str()).transpose()?;
        Ok(Self { socket, subprotocol: chosen.map(str::to_owned), heard: VecDeque::new() })
    }

    /// The HTTP status with which the server refuses.
    ///
    /// # Errors
    /// When it does not refuse, or does not answer.
    pub async fn refused(url: &str) -> Result<u16> {
        match connect_async(url).await {
            Ok(_) => bail!("let in at {url}"),
            Err(Error::Http(response)) => Ok(response.status().as_u16()),
            Err(error) => Err(error).with_context(|| format!("no answer from {url}")),
        }
    }

    /// Sends a text, in as many frames as API Gateway wants it.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn say(&mut self, text: impl Into<String>) -> Result<()> {
        let text = text.into();
        let mut parts = text.as_bytes().chunks(LARGEST_FRAME).peekable();
        let mut kind = Data::Text;
        while let Some(part) = parts.next() {
            let frame = Frame::message(part.to_vec(), OpCode::Data(kind), parts.peek().is_none());
            self.socket.send(Message::Frame(frame)).await.context("cannot send")?;
            kind = Data::Continue;
        }
        Ok(())
    }

    /// The next frame of this type; what comes before it is kept.
    ///
    /// # Errors
    /// When it does not come in time, or the connection closes.
    pub async fn hear(&mut self, kind: &str) -> Result<Value> {
        self.hear_with("type", kind).await
    }

    /// The next frame where this field has this value: for what API Gateway says itself, which has no type.
    ///
    /// # Errors
    /// When it does not come in time, or the connection closes.
    pub async fn hear_with(&mut self, field: &str, value: &str) -> Result<Value> {
        if let Some(at) = self.heard.iter().position(|frame| frame[field] == value) {
            return self.heard.remove(at).context("it is there");
        }
        loop {
            let Ok(frame) = timeout(PATIENCE, self.frame()).await else {
                bail!("no frame of {field} {value} came, but {:?}", self.heard);
            };
            let frame = frame?;
            if frame[field] == value {
                return Ok(frame);
            }
            self.heard.push_back(frame);
        }
    }

    /// The next frame, whatever it is.
    ///
    /// # Errors
    /// When none comes in time, or the connection closes.
    pub async fn hear_any(&mut self) -> Result<Value> {
        match self.heard.pop_front() {
            Some(frame) => Ok(frame),
            None => timeout(PATIENCE, self.frame()).await.context("no frame came")?,
        }
    }

    /// A frame of this type that came while something else was waited for.
    ///
    /// # Errors
    /// When none did.
    pub fn heard(&mut self, kind: &str) -> Result<Value> {
        let at = self.heard.iter().position(|frame| frame["type"] == kind);
        at.and_then(|at| self.heard.remove(at))
            .with_context(|| format!("no {kind} came, but {:?}", self.heard))
    }

    /// Makes sure that no frame of this type is there, and none comes for a while.
    ///
    /// # Errors
    /// When one is or comes.
    pub async fn hear_no(&mut self, kind: &str, within: Duration) -> Result<()> {
        let listen = async {
            loop {
                let frame = self.frame().await?;
                self.heard.push_back(frame);
            }
        };
        let ended: Result<Result<()>, _> = timeout(within, listen).await;
        if let Ok(Err(error)) = ended {
            return Err(error);
        }
        ensure!(!self.heard.iter().any(|frame| frame["type"] == kind), "heard a {kind}: {:?}", self.heard);
        Ok(())
    }

    /// Closes the connection, as a client does that says good-bye.
    ///
    /// # Errors
    /// When it was closed already.
    pub async fn close(mut self) -> Result<()> {
        self.socket.close(None).await?;
        while let Some(Ok(_)) = self.socket.next().await {}
        Ok(())
    }

    async fn frame(&mut self) -> Result<Value> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    return serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"));
                }
                Some(Ok(Message::Close(frame))) => bail!("the server closed the connection: {frame:?}"),
                Some(Ok(_)) => {}
                Some(Err(Error::ConnectionClosed)) | None => bail!("the connection is closed"),
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }
}
